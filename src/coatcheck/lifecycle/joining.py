"""How a sign-in joins another one of the same user, of the same old session: a double click, say.

Both clicks then leave the browser in one session, whichever answer comes last.
"""

from __future__ import annotations

from coatcheck.ids import Identity
from coatcheck.lifecycle.saving import save
from coatcheck.lifecycle.tombstone import follow
from coatcheck.lifecycle.visit import Phase, Replacement, Visit
from coatcheck.record import Tombstone


async def join(
    visit: Visit, change: Replacement, old: Identity, grave: Tombstone, *, base: bytes
) -> bool:
    """Join the session that another `login` of the same user made of the same old one.

    The tombstone holds the successor's secret under the old one, which only the holder of the old
    ID has; and only who signs in as the successor's own user is let in. Changes since `base` are
    saved there.
    """
    runtime = visit.runtime
    found = await follow(runtime, old, grave)
    if found is None or found[1].record.user_id != change.user_id:
        return False
    identity, held = found
    view = visit.data()
    before = {name: getattr(visit, name) for name in Visit.__slots__}
    drops = len(visit.drops)
    visit.identity, visit.buried, visit.tombstone = identity, None, None
    visit.replacement = None
    visit.hold(held)
    visit.base, visit.epoch, visit.view = base, held.record.epoch, view
    visit.cleared = False
    visit.written = True
    await save(visit, force=True)
    if visit.phase is Phase.STORED:
        visit.must_issue = True
        return True
    # It ended in this very moment, so there is nothing to join.
    for name, value in before.items():
        setattr(visit, name, value)
    del visit.drops[drops:]
    return False
