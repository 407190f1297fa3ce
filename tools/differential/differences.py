"""Why Strata's readers and the reference readers may differ: every deliberate difference, with
its reason.

Each row: what the readers did, a pattern for Strata's "code: reason", one for the reference
reader's "exception: message", and the reason. Whatever no row explains is a failure of
agreement.py.
"""

import re

STRATA, REFERENCE = "only Strata reads", "only the reference reads"

ARCHIVE = "^(zipAmbiguous|zipUnsupported|lengthOutOfRange|overlap|truncated)"
ARCHIVE_REASON = (
    "The archive can be read in two ways: local headers, directory and end records contradict "
    "each other or the file. The reference takes the word of the directory alone, another "
    "program may take another one's, so that a scanner sees another file than the reader")
NAMES = "^(duplicateName|duplicateEntry|badName|unsafePath)"
NAMES_REASON = (
    "Two entries have one name, or a name is empty, no text, or leads out of its directory. The "
    "reference takes the last of two, and any name")

RULES = {
    "strata": (
        (REFERENCE, "^metadataInvalid: module records", "",
         "Module records that are no such JSON. To a reader of tensors, as the one in Python "
         "is, they are opaque"),
    ),
    "safetensors": (
        (REFERENCE, "^unknownFormat", "",
         "White space stands before the header, which is to begin with a brace"),
        (REFERENCE, "^metadataInvalid: __metadata__ is null", "",
         "`\"__metadata__\": null` is no map of text to text, which the format asks for; the "
         "reference takes it for none"),
    ),
    "npz": (
        (REFERENCE, "^expansionLimit", "",
         "The archive announces more bytes than deflate can give for what is stored. NumPy stops "
         "reading when the shape is filled"),
        (REFERENCE, "^headerInvalid: the key .* occurs twice", "",
         "A key stands twice in the header of an array. Python lets the last one count"),
        (STRATA, "", "^NotImplementedError: zip file version",
         "An entry asks for a version of zip that Python does not know, and uses nothing of it"),
        (REFERENCE, ARCHIVE, "", ARCHIVE_REASON),
        (REFERENCE, NAMES, "", NAMES_REASON),
        (REFERENCE, "^(badMagic|unsupportedVariant)", "",
         "An entry that is no array. NumPy hands its bytes out; nothing tells whether it is an "
         "array whose head is damaged, and a checkpoint with a tensor less is not what was "
         "asked for"),
        (REFERENCE, "^sizeMismatch: .* bytes of data, but", "",
         "Bytes stand behind an array's last element. NumPy reads what the shape needs and "
         "leaves the rest"),
        (REFERENCE, "^(checksumMismatch|decompressMismatch)", "",
         "The entry does not end where, or with the checksum that, the archive says. NumPy "
         "stops reading when the shape is filled, before it would notice"),
    ),
    "pytorch": (
        (REFERENCE, "^unknownFormat", "",
         "A legacy file announces a pickle protocol that there is not, or none, and is not "
         "recognised"),
        (REFERENCE, "^pickleTypeError", "",
         "An opcode works on another type than pickle's writers ever give it, such as a list of "
         "arguments. Python takes any sequence"),
        (REFERENCE, "^sizeMismatch: the storage", "",
         "A storage announces a number of elements whose bytes are right only after their "
         "product has overflowed"),
        (REFERENCE, ARCHIVE, "", ARCHIVE_REASON),
        (REFERENCE, NAMES, "", NAMES_REASON),
        (REFERENCE, "^(checksumMismatch|decompressMismatch)", "",
         "An entry's CRC-32 differs. torch.load does not compute it: damaged weights are loaded"),
        (REFERENCE, "^trailingData", "",
         "Bytes follow the end of a legacy file, which torch.load does not look at"),
        (REFERENCE, "^pickleMalformed: STOP leaves", "",
         "The pickle ends with values that belong to nothing: opcodes are missing. Python takes "
         "the last value and forgets the others"),
        (STRATA, "", "^UnpicklingError",
         "The pickle names a class or function that `weights_only` does not allow, or that it "
         "cannot build. Nothing is ever run here: it becomes an inert record, which the report "
         "tells, and the tensors beside it are read"),
        (STRATA, "", r"hasRecord|not in a subdirectory|inline_container|^UnicodeDecodeError"
                     r"|^ValueError: invalid literal for int",
         "An entry that holds no tensor is missing, damaged or misplaced (`version`, "
         "`.format_version`, `serialization_id`, another directory's). Only the pickle and the "
         "storages are needed"),
        (STRATA, "", "^RuntimeError: record size",
         "A storage has bytes behind its last whole element, fewer than one more takes: so have "
         "storages that were made by viewing another dtype"),
        (STRATA, "", "unsupported multidisk archive",
         "The locator of the ZIP64 end record tells of no disk instead of one, which changes "
         "nothing"),
        (REFERENCE, "^pickleMalformed: pickle protocol", "",
         "The pickle announces a protocol that there is not"),
        (STRATA, "", "^(TypeError|AttributeError|KeyError|IndexError|RuntimeError: requires_grad"
                     "|AssertionError: expected|ValueError: too many values)",
         "Building the objects fails in Python. Here they are inert, and the tensors beside "
         "them are read"),
    ),
    "hdf5": (
        (REFERENCE, "^duplicateName", "",
         "Two links of a group have one name. libhdf5 follows the one that its search meets"),
        (REFERENCE, "^decompressMismatch", "",
         "A chunk is marked as not filtered, and has another number of bytes than it must have "
         "then. libhdf5 hands out the compressed bytes as numbers"),
        (REFERENCE, "^typeNotAllowed", "",
         "An enumeration, or a float that is neither IEEE 754 nor bfloat16. libhdf5 converts "
         "them by its own rules into other bits; here bits are kept or refused"),
        (REFERENCE, "^(extentOutOfFile|sizeMismatch|dataMissing|totalExpansion|chunkLimit)", "",
         "Stored bytes that are missing, or that the file has no room for. libhdf5 gives fill "
         "values in their place, or reads on"),
        (REFERENCE, "^hdf5Reader", "",
         "The system's libhdf5 crashes or asks for too much memory, in a process of its own; "
         "the later one of h5py does not"),
        (REFERENCE, "^(attributeInvalid|metadataInvalid|hdf5Invalid)", "",
         "A damaged attribute, or object that no dataset needs. h5py looks at it only when it "
         "is asked for; here metadata are part of the checkpoint"),
        (REFERENCE, "^(externalLink|softLink|linkClass|externalStorage|virtualDataset"
                    "|filterNotAllowed"
                    "|groupCycle|nestingLimit|fileBusy|checksumMismatch)", "",
         "What a stranger's file has no business with: links, storage outside of the file, "
         "other filters, cycles"),
        (STRATA, "", "^(OSError|RuntimeError|KeyError|ValueError|OverflowError)",
         "A later libhdf5, which h5py brings along, checks more of what no datum depends on "
         "(flags and gaps in the superblock, counts of messages, maximum sizes) than the "
         "system's, which Strata loads. The tensors' bytes, types and shapes are checked here"),
    ),
}


def explain(form, said, ours, theirs):
    """The reason of a difference; None where there is none."""
    for verdict, code, reference, reason in RULES.get(form, ()):
        if said == verdict and re.search(code, f"{ours.fault}: {ours.reason}") \
                and re.search(reference, f"{theirs.fault}: {theirs.reason}"):
            return reason
    return None
