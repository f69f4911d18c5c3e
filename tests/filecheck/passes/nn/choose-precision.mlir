// RUN: %llmc-opt %s --pass-pipeline 'choose-precision' | filecheck %s

// Write the weight scheme on the module (`nn.weights`), for quantise-linears to follow, and keep logits in f32.

func.func @main(%x: tensor<2x8xbf16>, %w: tensor<9x8xbf16>) -> tensor<2x9xbf16> {
  %0 = nn.linear %x, %w {acc = f32} : (tensor<2x8xbf16>, tensor<9x8xbf16>) -> tensor<2x9xbf16>
  func.return %0 : tensor<2x9xbf16>
}

// CHECK:      func.func @main(%x: tensor<2x8xbf16>, %w: tensor<9x8xbf16>) -> tensor<2x9xf32> {
// CHECK-NEXT: %0 = nn.linear %x, %w : (tensor<2x8xbf16>, tensor<9x8xbf16>) -> tensor<2x9xf32>
// CHECK-NEXT: func.return %0 : tensor<2x9xf32>
