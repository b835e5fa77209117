import Diffeo

/// Where HDF5 keeps variable-length strings, such as h5py writes for a str. Read from the bytes of the file because
/// HDF5 1.10 can be led out of its memory here: see the shim.
enum GlobalHeap {
  /// Of a reference: length of the string (4 bytes), address of a collection of objects (8), number of the object (4).
  static let referenceSize = 16

  /// The bytes that are referred to; nil if the reference or the collection is not right.
  static func object(
    _ reference: UnsafeRawBufferPointer, in image: UnsafeRawBufferPointer
  ) -> UnsafeRawBufferPointer? {
    guard reference.count == referenceSize else { return nil }
    let length = Int(UInt32(littleEndian: reference.loadUnaligned(as: UInt32.self)))
    if length == 0 { return UnsafeRawBufferPointer(start: nil, count: 0) }
    let address = UInt64(littleEndian: reference.loadUnaligned(fromByteOffset: 4, as: UInt64.self))
    let number = UInt32(littleEndian: reference.loadUnaligned(fromByteOffset: 12, as: UInt32.self))

    // A collection: "GCOL", version 1, 3 bytes, its size, and objects to its end.
    guard let start = Int(exactly: address), start <= image.count else { return nil }
    let collection = UnsafeRawBufferPointer(rebasing: image[start...])
    guard collection.prefix(5).elementsEqual([0x47, 0x43, 0x4F, 0x4C, 1]), let end = size(collection, at: 8) else {
      return nil
    }
    // An object: number (2 bytes), references (2), 4 bytes, size, and its bytes, filled up to a multiple of 8.
    // Number 0 is the free space at the end.
    var at = 16
    while at <= end - 16 {
      let found = UInt32(UInt16(littleEndian: collection.loadUnaligned(fromByteOffset: at, as: UInt16.self)))
      guard found != 0, let bytes = size(collection, at: at + 8), bytes <= end - at - 16 else { return nil }
      if found == number {
        return length <= bytes ? UnsafeRawBufferPointer(rebasing: collection[(at + 16)...].prefix(length)) : nil
      }
      at += 16 + (bytes + 7) & ~7
    }
    return nil
  }

  /// A size, if that much is there.
  private static func size(_ collection: UnsafeRawBufferPointer, at offset: Int) -> Int? {
    collection.number(offset, width: 8).flatMap(Int.init(exactly:)).flatMap { $0 <= collection.count ? $0 : nil }
  }
}
