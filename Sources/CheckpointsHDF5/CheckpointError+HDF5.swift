public import Checkpoints

extension CheckpointError.Code {
  /// The HDF5 library finds the file malformed.
  public static let hdf5Invalid = Self(rawValue: "hdf5Invalid")
  /// A link names another place in the file.
  public static let softLink = Self(rawValue: "softLink")
  /// A link leads to another file.
  public static let externalLink = Self(rawValue: "externalLink")
  /// A link is of a class that a program has to define.
  public static let linkClass = Self(rawValue: "linkClass")
  /// The data of a dataset stand in another file.
  public static let externalStorage = Self(rawValue: "externalStorage")
  /// A dataset is put together from other datasets.
  public static let virtualDataset = Self(rawValue: "virtualDataset")
  /// A dataset went through a filter other than deflate, shuffle and fletcher32.
  public static let filterNotAllowed = Self(rawValue: "filterNotAllowed")
  /// An object, or the elements of a dataset, are of a type that is no tensor's.
  public static let typeNotAllowed = Self(rawValue: "typeNotAllowed")
  /// Data of a dataset were never written, wholly or in part.
  public static let dataMissing = Self(rawValue: "dataMissing")
  /// A chunk is empty or too large.
  public static let chunkLimit = Self(rawValue: "chunkLimit")
  /// The data of a dataset lie outside the file, or within those of another.
  public static let extentOutOfFile = Self(rawValue: "extentOutOfFile")
  /// A group is reached by more than one path.
  public static let groupCycle = Self(rawValue: "groupCycle")
  /// The tensors together are larger than anything the file can hold.
  public static let totalExpansion = Self(rawValue: "totalExpansion")
  /// The file holds a layer that is code.
  public static let unsupportedLayer = Self(rawValue: "unsupportedLayer")
  /// An attribute is malformed.
  public static let attributeInvalid = Self(rawValue: "attributeInvalid")
  /// The file is open elsewhere for writing, or marked so.
  public static let fileBusy = Self(rawValue: "fileBusy")

  /// The process that parses a file apart from this one was ended by a signal, or does not answer as it
  /// should: the file is malformed in a way that libhdf5 does not survive.
  public static let hdf5ReaderCrashed = Self(rawValue: "hdf5ReaderCrashed")
  /// Parsing a file takes more time or memory than any file needs, or than there is.
  public static let hdf5ReaderLimit = Self(rawValue: "hdf5ReaderLimit")
  /// No process can be started to parse a file apart from this one.
  public static let isolationUnavailable = Self(rawValue: "isolationUnavailable")
}
