"""What can go wrong between a data set and a finding, and who must act.

ModelsError
├── BundleError                 admin: the bundle on the disk is not what its card promises; nothing of it is loaded
│   ├── BundleMissingError      admin: a folder or file is not there
│   ├── BundleDamagedError      admin: a file is shorter than, or differs from, what the card's SHA-256 covers
│   ├── CardError               admin: card.toml cannot be read, or holds a key or value that this version refuses
│   └── ContractError           admin: a network does not take or give what the card (or this version) expects
├── RuntimeMissingError         admin: neither onnxruntime nor onnxruntime-gpu is installed
├── ProviderError               admin: the configuration demands CUDA and the session runs without it
├── GpuMemoryError              admin: the GPU has no memory left, and the configuration demands CUDA
├── InferenceError              us: the network broke or gave numbers that are no numbers
└── ImageError                  the sender, or nobody (the study is skipped with a reason)
    ├── DecodeError             the sender: pixels are absent, of a wrong kind, cut short, or cannot be decoded
    ├── GeometryError           the sender: the header describes an image that is no radiograph we can hold
    ├── SignalError             the sender: pixels say another thing than the header does of them
    └── ImageTooLargeError      sender: the image is over what we decode (models/encoded.py Limits)

`outcome` is the machine code of DICOM.md §3.6 that a study gets when the error ends it; it is a string, because
`models` must not know `storage`.
"""


class ModelsError(Exception):
    """Everything that `models` raises on purpose."""

    outcome = "FAILED_MODEL"


class BundleError(ModelsError):
    """The bundle cannot be trusted, so nothing of it was loaded."""


class BundleMissingError(BundleError):
    """A folder or file of a bundle is not there."""


class BundleDamagedError(BundleError):
    """A file of a bundle is not the file its card was written for."""


class CardError(BundleError):
    """card.toml cannot be read, or says something that this version refuses."""


class ContractError(BundleError):
    """A network does not take or give what its card, or this version, expects."""


class RuntimeMissingError(ModelsError):
    """No onnxruntime is installed."""


class ProviderError(ModelsError):
    """CUDA was demanded and is not what runs."""


class GpuMemoryError(ModelsError):
    """Not even one image fits into the memory of the GPU, and the CPU may not stand in."""

    outcome = "FAILED_RESOURCE"


class InferenceError(ModelsError):
    """The network broke, or its answer holds numbers that are no numbers."""


class ImageError(ModelsError):
    """This image cannot be analysed; others of the study may be."""

    outcome = "REJECTED_DECODE"


class DecodeError(ImageError):
    """Pixels are absent, of a kind we do not read, cut short, or undecodable."""

    outcome = "REJECTED_DECODE"


class GeometryError(ImageError):
    """Rows, columns or frames do not describe one radiograph."""

    outcome = "REJECTED_GEOMETRY"


class SignalError(ImageError):
    """What the pixels show contradicts what the header says of them: b-values that cannot be theirs."""

    outcome = "AMBIGUOUS_SEQUENCE"


class ImageTooLargeError(ImageError):
    """Decoding would take more memory than the limit allows."""

    outcome = "REJECTED_GEOMETRY"
