// RUN: %llmc-opt %s --pass-pipeline 'snapshot-locations{file="%t.mlir"}' --mlir-print-debuginfo --mlir-print-local-scope | filecheck %s

// CHECK:      func.func @main
// CHECK-NEXT:   arith.addf %x, %x : f32 loc("{{.*}}.mlir":3:1)
// CHECK-NEXT:   func.return %0 : f32 loc("{{.*}}.mlir":4:1)

func.func @main(%x: f32) -> f32 {
  %0 = arith.addf %x, %x : f32
  func.return %0 : f32
}
