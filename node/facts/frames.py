"""The functional groups of a multi-frame object (PS3.3 C.7.6.16), so that one question serves old and new objects."""

from collections.abc import Iterator

from node.facts.values import Reader


class Frames:
    """Where an attribute may stand: shared by all frames, per frame, or (single-frame objects) in the data set."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.shared = reader.item("SharedFunctionalGroupsSequence")
        self.each = reader.items("PerFrameFunctionalGroupsSequence")

    def groups(self, macro: str) -> Iterator[Reader]:
        """The items of one functional group: the shared one, else one per frame that has it."""
        shared = self.shared.item(macro) if self.shared else None
        if shared:
            yield shared
            return
        for frame in self.each:
            if item := frame.item(macro):
                yield item

    def group(self, macro: str) -> Reader | None:
        """The first of `groups`."""
        return next(self.groups(macro), None)

    def frame_groups(self, macro: str) -> tuple[Reader | None, ...]:
        """Per frame its own functional group, else the shared one; empty for single-frame objects."""
        shared = self.shared.item(macro) if self.shared else None
        return tuple(frame.item(macro) or shared for frame in self.each)

    def number(self, keyword: str, *macros: str) -> float | None:
        """The number in the data set, else in the first of the functional groups named."""
        if self.reader.has(keyword):
            return self.reader.number(keyword)
        for macro in macros:
            group = self.group(macro)
            if group and group.has(keyword):
                return group.number(keyword)
        return None

    def term(self, keyword: str, *macros: str) -> str:
        """The same for a defined term."""
        if self.reader.has(keyword):
            return self.reader.term(keyword)
        for macro in macros:
            group = self.group(macro)
            if group and group.has(keyword):
                return group.term(keyword)
        return ""
