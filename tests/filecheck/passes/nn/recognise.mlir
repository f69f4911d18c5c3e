// RUN: %llmc-opt %s --pass-pipeline 'recognise' | filecheck %s

// Replace the op graphs that PyTorch code writes for SiLU, GELU, RMS norm, rotary positions, attention, repeated keys, mask
// tensors and transposed weights by the nn ops that later passes and schedules know.

func.func @main(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = nn.sigmoid %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %1 = nn.mul %x, %0 : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  func.return %1 : tensor<4x8xf32>
}

// CHECK:      func.func @main(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
// CHECK-NEXT: %0 = nn.silu %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
// CHECK-NEXT: func.return %0 : tensor<4x8xf32>
