"""What can go wrong in `storage`, and who must act.

StorageError
├── DiskFull            the admin makes room; the sender tries again (0xA700)
├── DiskFailed          the admin looks at the disk; the sender tries again elsewhere or later
├── Damaged             the admin restores the file; the study that needs it fails visibly
├── Busy                nobody: the database was locked for longer than we wait; try again
├── Unavailable         the admin: the database cannot be reached or opened
├── SchemaMismatch      the admin: program and database are of different versions
├── ForbiddenMove       us (a bug): a move between states that `storage/states.py` does not allow
├── Broken              us (a bug): a rule of the database was violated
├── NotNow              the admin: the study is in a state in which this cannot be done
├── InUse               the admin: the node runs, or a command works on its data folder; stop it first
├── NotEmpty            the admin: a folder that is to be filled holds something; name another
├── Unknown             the admin: there is no study or peer of that number or name
└── PeerRefused         the admin: a peer's value is wrong or taken
"""


class StorageError(Exception):
    """Anything that `storage` refuses or could not do; the message is a sentence for the admin."""


class DiskFull(StorageError):
    """There is no room for the bytes; nothing of them is promised, everything before them is whole."""


class DiskFailed(StorageError):
    """The disk answered a write or a sync with an error; what was written since the last sync is not promised."""


class Damaged(StorageError):
    """The bytes on disk are missing or are not those that were stored."""


class Busy(StorageError):
    """Another process held the database for longer than the busy time-out."""


class Unavailable(StorageError):
    """The database cannot be opened or reached."""


class SchemaMismatch(StorageError):
    """The database's schema is not the one this program works with."""


class ForbiddenMove(StorageError):
    """A study was asked to go where `STUDY_MOVES` has no way."""


class Broken(StorageError):
    """A constraint of the database refused a row."""


class NotNow(StorageError):
    """The study is in a state in which this cannot be done."""


class InUse(StorageError):
    """The data folder is used by a process that must end first."""


class NotEmpty(StorageError):
    """Something lies where a backup or a restored data folder is to go; it is not overwritten."""


class Unknown(StorageError):
    """There is no row of that number or name."""


class PeerRefused(StorageError):
    """A peer's value is wrong or belongs to another peer."""
