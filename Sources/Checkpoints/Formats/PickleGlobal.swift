/// The name of a class or a function in Python.
struct PickleGlobal: Hashable, Sendable, CustomStringConvertible {
  var module: String
  var name: String

  /// Names it; modules that Python 3 renamed get their new name.
  init(module: String, name: String) {
    switch module {
    case "__builtin__": self.module = "builtins"
    case "copy_reg": self.module = "copyreg"
    default: self.module = module
    }
    self.name = name
  }

  /// `collections.OrderedDict`.
  var description: String { "\(module).\(name)" }
}

extension PickleGlobal {
  /// Modules that reach the system, other programs, the network, or Python's own machinery.
  ///
  /// A checkpoint has no use for any of them. Naming one here only spares the user a file that was made
  /// to attack whoever loads it with Python: nothing that a pickle names is ever looked up or called.
  private static let dangerousModules: Set<String> = [
    // Files, processes and the system itself.
    "os", "posix", "nt", "posixpath", "ntpath", "sys", "subprocess", "_posixsubprocess", "commands",
    "popen2", "pty", "shutil", "tempfile", "fcntl", "multiprocessing", "concurrent", "asyncio",
    "threading", "_thread", "pip", "ensurepip", "venv", "distutils", "setuptools",
    // The network.
    "socket", "_socket", "ssl", "socketserver", "http", "urllib", "urllib2", "httplib", "ftplib",
    "smtplib", "poplib", "imaplib", "nntplib", "telnetlib", "xmlrpc", "webbrowser", "antigravity",
    "requests", "aiohttp", "paramiko",
    // Code: making, finding, loading and running it.
    "importlib", "imp", "_imp", "runpy", "pkgutil", "zipimport", "codeop", "ctypes", "_ctypes",
    "cffi",
    "marshal", "pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve",
    "compileall",
    "py_compile", "pdb", "bdb", "timeit", "cProfile", "doctest", "idlelib", "lib2to3", "gc",
    "atexit",
    "sqlite3", "linecache",
  ]

  /// Functions of otherwise harmless modules that run code, reach attributes or open files.
  private static let dangerousNames: [String: Set<String>] = [
    "builtins": [
      "eval", "exec", "execfile", "compile", "__import__", "setattr", "delattr", "open", "file",
      "input", "raw_input", "breakpoint", "globals", "locals", "vars", "apply", "reload", "map",
      "filter", "reduce", "__build_class__", "help", "exit", "quit",
    ],
    // Calls that are put together from parts.
    "operator": ["attrgetter", "methodcaller", "itemgetter", "call"],
    "_operator": ["attrgetter", "methodcaller", "itemgetter", "call"],
    "functools": ["reduce"],
    "_functools": ["reduce"],
    "itertools": ["starmap"],
    // Names that users give to modules of their own as well: only the standard library's names count.
    "code": ["InteractiveInterpreter", "InteractiveConsole", "interact", "compile_command"],
    "types": ["CodeType", "FunctionType", "LambdaType", "MethodType"],
    "trace": ["Trace", "main"],
    "profile": ["run", "runctx", "Profile"],
    "platform": ["popen"],
    "io": ["open", "FileIO", "open_code"],
    "_io": ["open", "FileIO", "open_code"],
    "codecs": ["open"],
    "numpy": ["load", "fromfile", "genfromtxt", "memmap", "save"],
    "numpy.testing._private.utils": ["runstring"],
    "torch": ["load", "save"],
    "torch.serialization": ["load", "save"],
    "torch.hub": [
      "load", "_load_local", "load_state_dict_from_url", "download_url_to_file",
    ],
    "torch.jit": ["load"],
    "torch.utils.cpp_extension": ["load", "load_inline"],
    "torch.package": ["PackageImporter"],
    "logging.config": ["dictConfig", "fileConfig", "listen"],
  ]

  /// Attributes through which Python gives away its insides, on whatever object.
  private static let dangerousAttributes: Set<String> = [
    // From an object to its class, to every other class.
    "__class__", "__base__", "__bases__", "__mro__", "mro", "__subclasses__", "__dict__",
    // From a function to its module, to what that has imported, to its code.
    "__globals__", "func_globals", "__builtins__", "__code__", "func_code", "__closure__",
    "__self__", "__func__", "__wrapped__", "__loader__", "__spec__", "__import__",
    // Attribute access and pickling once more, under another name.
    "__getattribute__", "__getattr__", "__setattr__", "__delattr__", "__reduce__",
    "__reduce_ex__", "__setstate__",
    // Frames.
    "f_globals", "f_locals", "f_builtins", "f_back", "f_code", "tb_frame", "gi_frame", "gi_code",
    "cr_frame", "cr_code", "ag_frame", "ag_code",
  ]

  /// Whether it is `getattr`, which is judged by what it is called with.
  var isAttributeAccess: Bool { module == "builtins" && name == "getattr" }

  /// The name of something inside it: a method, a class inside a class.
  func attribute(_ name: String) -> PickleGlobal {
    PickleGlobal(module: module, name: "\(self.name).\(name)")
  }

  /// Why the name is refused; nil for one that may stand in a checkpoint.
  var danger: String? {
    // A name with dots reaches through one module into another: `torch.serialization` and `os.system`.
    let parts = name.split(separator: ".").map(String.init)
    let root = module.split(separator: ".").first.map(String.init) ?? ""
    let isDangerous =
      Self.dangerousModules.contains(root)
      || parts.dropLast().contains { Self.dangerousModules.contains($0) }
      || parts.contains { Self.dangerousAttributes.contains($0) }
      || Self.dangerousNames[module].map { names in parts.contains { names.contains($0) } } ?? false
    guard isDangerous else { return nil }
    return """
      the pickle names \(self), which no checkpoint needs: a program that runs pickles would execute it; \
      nothing was executed here
      """
  }
}
