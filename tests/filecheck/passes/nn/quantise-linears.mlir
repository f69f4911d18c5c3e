// RUN: %llmc-opt %s --pass-pipeline 'quantise-linears' | filecheck %s

// End the definitions of linears' weights in quantized.quantize: int8 storage, one scale per output channel.

nn.weight @w {
  %0 = nn.entry "w" : tensor<9x8xbf16>
  nn.yield %0 : tensor<9x8xbf16>
}
func.func @main(%x: tensor<2x8xbf16>) -> tensor<2x9xbf16> {
  %0 = nn.param @w : tensor<9x8xbf16>
  %1 = nn.linear %x, %0 {acc = f32} : (tensor<2x8xbf16>, tensor<9x8xbf16>) -> tensor<2x9xbf16>
  func.return %1 : tensor<2x9xbf16>
}

// CHECK:      nn.weight @w {
// CHECK-NEXT: %0 = nn.entry "w" : tensor<9x8xbf16>
// CHECK-NEXT: %1 = quantized.quantize %0 : tensor<9x8xbf16> -> tensor<9x8x!quantized.elem<i8, scale = f32, block = [1, -1]>>
// CHECK-NEXT: nn.yield %1 : tensor<9x8x!quantized.elem<i8, scale = f32, block = [1, -1]>>
// CHECK:      func.func @main(%x: tensor<2x8xbf16>) -> tensor<2x9xbf16> {
// CHECK-NEXT: %0 = nn.param @w : tensor<9x8x!quantized.elem<i8, scale = f32, block = [1, -1]>>
// CHECK-NEXT: %1 = nn.linear %x, %0 : (tensor<2x8xbf16>, tensor<9x8x!quantized.elem<i8, scale = f32, block = [1, -1]>>) -> tensor<2x9xbf16>
// CHECK-NEXT: func.return %1 : tensor<2x9xbf16>
