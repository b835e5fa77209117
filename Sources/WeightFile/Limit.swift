/// Limits of the format; the others are the flow's own.
enum Limit {
  /// Bytes of a text, and of a name.
  static let text = 65_535
  static let name = 255
  static let listEntries = 1 << 24
  static let selfTestRows = 256
  /// Attributes, and links, of one component; keys of the metadata.
  static let fields = 256
  static let keys = 4_096
  /// Of one dataset that is read, and about the size of those that are written.
  static let chunks = 16_384
  static let chunkBytes = 1 << 26
}
