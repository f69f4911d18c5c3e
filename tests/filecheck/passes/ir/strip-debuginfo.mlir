// RUN: %llmc-opt %s --pass-pipeline='func.func(strip-debuginfo)' --mlir-print-debuginfo | filecheck %s

// CHECK:      arith.addf %x, %x : f32 loc(unknown)
// CHECK-NOT:  model.py

func.func @main(%x: f32) -> f32 {
  %0 = arith.addf %x, %x : f32 loc("mlp"("model.py":7:1))
  func.return %0 : f32
}
