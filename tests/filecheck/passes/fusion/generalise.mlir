// RUN: %llmc-opt %s --mlir-print-local-scope --pass-pipeline 'generalise' | filecheck %s

// Turn connected pointwise ops (casts and broadcasts among them) into one linalg.generic each, computing in f32 inside.

func.func @main(%g: tensor<2x8xbf16>, %u: tensor<2x8xbf16>) -> tensor<2x8xbf16> {
  %0 = nn.relu %g : (tensor<2x8xbf16>) -> tensor<2x8xbf16>
  %1 = nn.mul %0, %u : (tensor<2x8xbf16>, tensor<2x8xbf16>) -> tensor<2x8xbf16>
  func.return %1 : tensor<2x8xbf16>
}

// CHECK:      func.func @main(%g: tensor<2x8xbf16>, %u: tensor<2x8xbf16>) -> tensor<2x8xbf16> {
// CHECK-NEXT: %0 = nn.empty : () -> tensor<2x8xbf16>
// CHECK-NEXT: %1 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>],
// CHECK-NEXT: ^bb0(%2: bf16, %3: bf16, %4: bf16):
// CHECK-NEXT: %5 = arith.extf %2 : bf16 to f32
// CHECK-NEXT: %6 = arith.constant 0.000000e+00 : f32
// CHECK-NEXT: %7 = arith.maximumf %5, %6 : f32
// CHECK-NEXT: %8 = arith.extf %3 : bf16 to f32
// CHECK-NEXT: %9 = arith.mulf %7, %8 : f32
// CHECK-NEXT: %10 = arith.truncf %9 : f32 to bf16
// CHECK-NEXT: linalg.yield %10 : bf16
// CHECK-NEXT: } -> tensor<2x8xbf16>
// CHECK-NEXT: func.return %1 : tensor<2x8xbf16>
