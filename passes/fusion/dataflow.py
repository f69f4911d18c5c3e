"""What depends on what in a block, under grouping: merges that keep the groups' order possible, and that order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from heapq import heappop, heappush

from xdsl.ir import Block, Operation


class Grouping:
    """Groups of a block's ops, single ops at first. Ancestors and descendants are kept as bit sets over op numbers, closed
    under grouping: who depends on one member depends on all."""

    def __init__(self, ops: Sequence[Operation]) -> None:
        self.ops = list(ops)
        self.number = {op: i for i, op in enumerate(self.ops)}
        self.members = [1 << i for i in range(len(self.ops))]  # of the group of op i
        self.above = [0] * len(self.ops)
        self.below = [0] * len(self.ops)
        self.direct: list[int] = []
        for i, op in enumerate(self.ops):
            up = direct = 0
            for operand in operands_of(op):
                j = self.number.get(operand.owner)  # pyright: ignore
                if j is not None:
                    direct |= 1 << j
                    up |= self.above[j] | 1 << j
            self.direct.append(direct)
            self.above[i] = up
        for i in reversed(range(len(self.ops))):
            for j in bits(self.direct[i]):
                self.below[j] |= self.below[i] | 1 << i

    def __contains__(self, op: Operation) -> bool:
        return op in self.number

    def group(self, op: Operation) -> list[Operation]:
        """The ops of an op's group, in order."""
        return [self.ops[i] for i in bits(self.members[self.number[op]])]

    def same(self, a: Operation, b: Operation) -> bool:
        return self.members[self.number[a]] == self.members[self.number[b]]

    def depends(self, op: Operation, on: Operation) -> bool:
        return bool(self.above[self.number[op]] >> self.number[on] & 1)

    def can_merge(self, ops: Iterable[Operation]) -> bool:
        """Whether one group of these ops' groups leaves no other group both before and after it."""
        members = up = down = 0
        for op in ops:
            i = self.number[op]
            members |= self.members[i]
            up |= self.above[i]
            down |= self.below[i]
        return not (up & down & ~members)

    def merge(self, ops: Iterable[Operation]) -> None:
        """Make one group of these ops' groups; `can_merge` must hold. Only what was above (or below) some of them but not all
        learns anything new."""
        members = up = down = 0
        above_all = below_all = -1
        for op in ops:
            i = self.number[op]
            members |= self.members[i]
            up |= self.above[i]
            down |= self.below[i]
            above_all &= self.above[i]
            below_all &= self.below[i]
        up, down = up & ~members, down & ~members
        for i in bits(members):
            self.members[i], self.above[i], self.below[i] = members, up, down
        after, before = members | down, members | up
        for i in bits(up & ~above_all):
            self.below[i] |= after
        for i in bits(down & ~below_all):
            self.above[i] |= before

    def groups(self) -> list[list[Operation]]:
        """All groups, each in order, so that each group comes after those it depends on; as near to the old order as that allows."""
        leaders: dict[int, int] = {}
        for i, members in enumerate(self.members):
            leaders.setdefault(members, i)
        waiting: dict[int, set[int]] = {}
        users: dict[int, set[int]] = {}
        for members, leader in leaders.items():
            direct = 0
            for i in bits(members):
                direct |= self.direct[i]
            needs = {leaders[self.members[j]] for j in bits(direct & ~members)}
            waiting[leader] = needs
            for need in needs:
                users.setdefault(need, set()).add(leader)
        ready: list[int] = []
        for leader, needs in waiting.items():
            if not needs:
                heappush(ready, leader)
        order: list[list[Operation]] = []
        while ready:
            leader = heappop(ready)
            order.append([self.ops[i] for i in bits(self.members[leader])])
            for user in users.get(leader, ()):
                waiting[user].discard(leader)
                if not waiting[user]:
                    heappush(ready, user)
        assert sum(map(len, order)) == len(self.ops), "groups depend on each other in a circle"
        return order


def operands_of(op: Operation) -> Iterator[object]:
    """The operands of an op and of the ops in its regions."""
    yield from op.operands
    for region in op.regions:
        for inner in region.walk():
            yield from inner.operands


def bits(number: int) -> Iterator[int]:
    """The positions of the set bits, lowest first."""
    while number:
        low = number & -number
        yield low.bit_length() - 1
        number ^= low


def reorder(block: Block, order: Sequence[Operation]) -> None:
    """Put these ops of a block in this order, before its terminator."""
    last = block.last_op
    assert last is not None
    for op in order:
        op.detach()
        block.insert_op_before(op, last)
