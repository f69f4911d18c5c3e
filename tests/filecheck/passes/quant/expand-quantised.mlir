// RUN: %llmc-opt %s --mlir-print-local-scope --pass-pipeline 'expand-quantised' | filecheck %s

// Split each quantised weight into `@w.storage` and `@w.scale`, and multiply linears' results by the scales.

nn.weight @w {
  %0 = nn.entry "w" : tensor<9x8xbf16>
  %1 = quantized.quantize %0 : tensor<9x8xbf16> -> tensor<9x8x!quantized.elem<i8, scale = f32, block = [1, -1]>>
  nn.yield %1 : tensor<9x8x!quantized.elem<i8, scale = f32, block = [1, -1]>>
}
func.func @main(%x: tensor<2x8xbf16>) -> tensor<2x9xbf16> {
  %0 = nn.param @w : tensor<9x8x!quantized.elem<i8, scale = f32, block = [1, -1]>>
  %1 = nn.linear %x, %0 : (tensor<2x8xbf16>, tensor<9x8x!quantized.elem<i8, scale = f32, block = [1, -1]>>) -> tensor<2x9xbf16>
  func.return %1 : tensor<2x9xbf16>
}

// CHECK:      nn.weight @w.storage {
// CHECK-NEXT: %0 = nn.entry "w" : tensor<9x8xbf16>
// CHECK-NEXT: %1 = nn.cast %0 : (tensor<9x8xbf16>) -> tensor<9x8xf32>
// CHECK-NEXT: %2 = nn.abs %1 : (tensor<9x8xf32>) -> tensor<9x8xf32>
// CHECK-NEXT: %3 = nn.reduce %2 {kind = "max", axes = array<i64: 1>, keepdims = true}
// CHECK-NEXT: %4 = nn.constant dense<1.000000e-30> : tensor<f32>
// CHECK-NEXT: %5 = nn.max %3, %4 : (tensor<9x1xf32>, tensor<f32>) -> tensor<9x1xf32>
// CHECK-NEXT: %6 = nn.constant dense<1.270000e+02> : tensor<f32>
// CHECK-NEXT: %7 = nn.div %5, %6 : (tensor<9x1xf32>, tensor<f32>) -> tensor<9x1xf32>
// CHECK-NEXT: %8 = nn.div %1, %7 : (tensor<9x8xf32>, tensor<9x1xf32>) -> tensor<9x8xf32>
// CHECK-NEXT: %9 = nn.round %8 : (tensor<9x8xf32>) -> tensor<9x8xf32>
// CHECK-NEXT: %10 = nn.constant dense<-1.270000e+02> : tensor<f32>
// CHECK-NEXT: %11 = nn.clamp %9, %10, %6 : (tensor<9x8xf32>, tensor<f32>, tensor<f32>) -> tensor<9x8xf32>
// CHECK-NEXT: %12 = nn.cast %11 : (tensor<9x8xf32>) -> tensor<9x8xi8>
// CHECK-NEXT: nn.yield %12 : tensor<9x8xi8>
// CHECK:      nn.weight @w.scale {
// CHECK-NEXT: %0 = nn.entry "w" : tensor<9x8xbf16>
// CHECK-NEXT: %1 = nn.cast %0 : (tensor<9x8xbf16>) -> tensor<9x8xf32>
// CHECK-NEXT: %2 = nn.abs %1 : (tensor<9x8xf32>) -> tensor<9x8xf32>
// CHECK-NEXT: %3 = nn.reduce %2 {kind = "max", axes = array<i64: 1>, keepdims = true}
// CHECK-NEXT: %4 = nn.constant dense<1.000000e-30> : tensor<f32>
// CHECK-NEXT: %5 = nn.max %3, %4 : (tensor<9x1xf32>, tensor<f32>) -> tensor<9x1xf32>
// CHECK-NEXT: %6 = nn.constant dense<1.270000e+02> : tensor<f32>
// CHECK-NEXT: %7 = nn.div %5, %6 : (tensor<9x1xf32>, tensor<f32>) -> tensor<9x1xf32>
// CHECK-NEXT: %8 = nn.reshape %7 : (tensor<9x1xf32>) -> tensor<9xf32>
// CHECK-NEXT: nn.yield %8 : tensor<9xf32>
// CHECK:      func.func @main(%x: tensor<2x8xbf16>) -> tensor<2x9xbf16> {
// CHECK-NEXT: %0 = nn.param @w.storage : tensor<9x8xi8>
// CHECK-NEXT: %1 = nn.param @w.scale : tensor<9xf32>
// CHECK-NEXT: %2 = nn.linear %x, %0 : (tensor<2x8xbf16>, tensor<9x8xi8>) -> tensor<2x9xf32>
// CHECK-NEXT: %3 = nn.empty : () -> tensor<2x9xbf16>
// CHECK-NEXT: %4 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d0, d1)>],
// CHECK-NEXT: ^bb0(%5: f32, %6: f32, %7: bf16):
// CHECK-NEXT: %8 = arith.mulf %5, %6 : f32
// CHECK-NEXT: %9 = arith.truncf %8 : f32 to bf16
// CHECK-NEXT: linalg.yield %9 : bf16
// CHECK-NEXT: } -> tensor<2x9xbf16>
// CHECK-NEXT: func.return %4 : tensor<2x9xbf16>
