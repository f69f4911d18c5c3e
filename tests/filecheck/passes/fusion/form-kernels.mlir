// RUN: %llmc-opt %s --pass-pipeline 'form-kernels' | filecheck %s

// Group ops into kernels: an anchor each (linear, attention, norm, embedding, sample, …) and the ops it carries.

func.func @main(%x: tensor<2x8xbf16>, %w: tensor<8x8xbf16>) -> tensor<2x4xbf16> {
  %0 = nn.linear %x, %w : (tensor<2x8xbf16>, tensor<8x8xbf16>) -> tensor<2x8xbf16>
  %1 = nn.slice %0 {axis = 1 : i64, stop = "4"} : (tensor<2x8xbf16>) -> tensor<2x4xbf16>
  func.return %1 : tensor<2x4xbf16>
}

// CHECK:      func.func @main(%x: tensor<2x8xbf16>, %w: tensor<8x8xbf16>) -> tensor<2x4xbf16> {
// CHECK-NEXT: %0 = fusion.group "linear" (%x_1 = %x : tensor<2x8xbf16>, %w_1 = %w : tensor<8x8xbf16>) -> tensor<2x4xbf16> {
// CHECK-NEXT: %1 = nn.linear %x_1, %w_1 : (tensor<2x8xbf16>, tensor<8x8xbf16>) -> tensor<2x8xbf16>
// CHECK-NEXT: %2 = nn.slice %1 {axis = 1 : i64, stop = "4"} : (tensor<2x8xbf16>) -> tensor<2x4xbf16>
// CHECK-NEXT: fusion.yield %2 : tensor<2x4xbf16>
// CHECK:      func.return %0 : tensor<2x4xbf16>
