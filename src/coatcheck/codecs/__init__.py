"""Values to bytes and back, with their types."""

from coatcheck.codecs.binary import BinaryCodec as BinaryCodec
from coatcheck.codecs.protocol import MAX_DEPTH as MAX_DEPTH
from coatcheck.codecs.protocol import MAX_INT_BITS as MAX_INT_BITS
from coatcheck.codecs.protocol import Codec as Codec
from coatcheck.codecs.protocol import CustomType as CustomType
from coatcheck.codecs.tagged import JSONCodec as JSONCodec
