// RUN: %llmc-opt %s --pass-pipeline 'canonicalize' | filecheck %s

// Fold constants, elide identities, join reshapes, transposes and casts, share equal ops, erase unused ones and weights.

func.func @main(%x: tensor<4x8xbf16>) -> tensor<2x16xbf16> {
  %0 = nn.reshape %x : (tensor<4x8xbf16>) -> tensor<32xbf16>
  %1 = nn.reshape %0 : (tensor<32xbf16>) -> tensor<2x16xbf16>
  %2 = nn.cast %1 : (tensor<2x16xbf16>) -> tensor<2x16xf32>
  %3 = nn.cast %2 : (tensor<2x16xf32>) -> tensor<2x16xbf16>
  %4 = nn.exp %2 : (tensor<2x16xf32>) -> tensor<2x16xf32>
  func.return %3 : tensor<2x16xbf16>
}

// CHECK:      func.func @main(%x: tensor<4x8xbf16>) -> tensor<2x16xbf16> {
// CHECK-NEXT: %0 = nn.reshape %x : (tensor<4x8xbf16>) -> tensor<2x16xbf16>
// CHECK-NEXT: func.return %0 : tensor<2x16xbf16>
