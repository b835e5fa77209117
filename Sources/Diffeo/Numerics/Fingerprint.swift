/// 64 bits that tell arrays apart by their bits: rounds of xxHash64 (Collet 2012), a word at a time. No secret: whoever
/// wants two arrays with the same fingerprint can find them.
struct Fingerprint {
  private(set) var value: UInt64 = 0x27d4_eb2f_1656_67c5

  mutating func add(_ word: UInt64) {
    value &+= word &* 0xc2b2_ae3d_27d4_eb4f
    value = (value << 31 | value >> 33) &* 0x9e37_79b1_85eb_ca87
  }

  @_specialize(where S == Float)
  @_specialize(where S == Double)
  mutating func add<S: Scalar>(_ values: UnsafePointer<S>, count: Int) {
    add(UInt64(count))
    let bits = UnsafeRawPointer(values)
    switch S.dtype {
    case .f32: for i in 0..<count { add(UInt64(bits.load(fromByteOffset: 4 * i, as: UInt32.self))) }
    case .f64: for i in 0..<count { add(bits.load(fromByteOffset: 8 * i, as: UInt64.self)) }
    }
  }
}
