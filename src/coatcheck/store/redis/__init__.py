"""Sessions in Redis or Valkey: one server, a primary with Sentinels, or a cluster."""

from coatcheck.store.redis.awaited import AsyncRedisStore as AsyncRedisStore
from coatcheck.store.redis.blocking import RedisStore as RedisStore
