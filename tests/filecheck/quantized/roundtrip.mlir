// RUN: %llmc-opt %s | %llmc-opt - | filecheck %s
// RUN: %llmc-opt %s --mlir-print-op-generic | %llmc-opt - | filecheck %s

// Every op of quantized. One type covers a scale per tensor, channel, token or group: a block of -1 is the whole axis.

#dims = #nn.dims<["T", "_"]>

// CHECK: func.func @channel(%w: tensor<4x8xf32>) -> tensor<4x8xbf16> {
func.func @channel(%w: tensor<4x8xf32>) -> tensor<4x8xbf16> {
  // CHECK: %q = quantized.quantize %w : tensor<4x8xf32> -> tensor<4x8x!quantized.elem<i8, scale = f32, block = [1, -1]>>
  %q = quantized.quantize %w : tensor<4x8xf32> -> tensor<4x8x!quantized.elem<i8, scale = f32, block = [1, -1]>>
  // CHECK: %d = quantized.dequantize %q : tensor<4x8x!quantized.elem<i8, scale = f32, block = [1, -1]>> -> tensor<4x8xbf16>
  %d = quantized.dequantize %q : tensor<4x8x!quantized.elem<i8, scale = f32, block = [1, -1]>> -> tensor<4x8xbf16>
  // CHECK: func.return %d : tensor<4x8xbf16>
  func.return %d : tensor<4x8xbf16>
}
// CHECK: func.func @group(%q: tensor<4x128x!quantized.elem<i4, scale = bf16, block = [1, 64], zero = i4>>) -> tensor<4x128xf32> {
func.func @group(%q: tensor<4x128x!quantized.elem<i4, scale = bf16, block = [1, 64], zero = i4>>) -> tensor<4x128xf32> {
  // CHECK: %d = quantized.dequantize %q
  %d = quantized.dequantize %q : tensor<4x128x!quantized.elem<i4, scale = bf16, block = [1, 64], zero = i4>> -> tensor<4x128xf32>
  // CHECK: func.return %d : tensor<4x128xf32>
  func.return %d : tensor<4x128xf32>
}
// CHECK: func.func @tokens(%x: tensor<?x8xf32, #dims>) {
func.func @tokens(%x: tensor<?x8xf32, #dims>) {
  // CHECK: %q = quantized.quantize %x
  %q = quantized.quantize %x : tensor<?x8xf32, #dims> -> tensor<?x8x!quantized.elem<f8E4M3FN, scale = f32, block = [1, -1]>, #dims>
  // CHECK: func.return
  func.return
}
