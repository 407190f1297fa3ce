/// How a call is divided among threads.
///
/// Every division gives the same bits.
enum Division {
  /// It stays on the caller's thread.
  case none
  /// Each thread has sequences of its own: they never wait for each other.
  case lanes
  /// Each thread has one direction, and they meet behind every layer.
  case directions
  /// Each thread has layers of its own: layer l works on a piece of the steps while layer l + 1 works on
  /// the one before, so that they meet once for each piece and each layer's weights stay in one core's
  /// cache.
  case layers
  /// Each thread has units of its own of every layer, and they meet after every step: the only way to
  /// divide one step, and the best one where a layer's weights do not stay in one core's cache, since
  /// every thread then reads a part of them only.
  case units

  /// Waking a thread that sleeps takes tens of microseconds; a core does about this many products in
  /// twice that time.
  static let leastProducts = 2_000_000
  /// A meeting takes about a microsecond; a core does this many products in ten.
  private static let leastProductsOfMeeting = 250_000
  /// Weights of more bytes do not stay in a shared cache from step to step.
  private static let sharedCache = 24 << 20
  /// Weights of a layer of more bytes do not stay in a core's own cache from step to step: those of the
  /// state are about half of them, and such caches have one or two megabytes.
  private static let ownCache = 3 << 20
  /// Fewer sequences do not fill the tiles of the kernels when threads divide them.
  private static let manySequences = 32

  /// Chooses by shape.
  init(
    _ table: LayerTable, steps: Int, batchSize: Int, threads: Int, isBidirectional: Bool,
    hasLengths: Bool, hasProjection: Bool
  ) {
    let products = table.productCount * steps * batchSize
    let mayMeet = !hasLengths && !hasProjection
    let isOutside = table.byteCount > Self.sharedCache
    let isFar = isOutside || table.byteCount / table.count > Self.ownCache
    let productsOfMeeting = table.productCount / table.count * batchSize
    if threads == 1 || products < Self.leastProducts {
      self = .none
    } else if isBidirectional, threads == 2, batchSize < Self.manySequences {
      self = .directions
    } else if batchSize >= threads, !isOutside || batchSize >= 4 * threads || !mayMeet {
      self = .lanes
    } else if isBidirectional {
      self = .directions
    } else if table.count > 1, steps >= 16, !isFar || !mayMeet {
      self = .layers
    } else if mayMeet, productsOfMeeting >= Self.leastProductsOfMeeting {
      self = .units
    } else if table.count > 1, steps >= 16 {
      self = .layers
    } else {
      self = .none
    }
  }
}
