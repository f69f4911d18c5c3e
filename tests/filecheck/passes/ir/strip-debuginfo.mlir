// RUN: %llmc-opt %s --pass-pipeline strip-debuginfo --mlir-print-debuginfo | filecheck %s

// CHECK:      func.func @main(%x: f32 loc(unknown)) -> f32 {
// CHECK-NEXT:   arith.addf %x, %x : f32 loc(unknown)
// CHECK-NOT:  model

func.func @main(%x: f32) -> f32 {
  %0 = arith.addf %x, %x : f32 loc("model.layers.0"("model.py":3:1))
  func.return %0 : f32
}
