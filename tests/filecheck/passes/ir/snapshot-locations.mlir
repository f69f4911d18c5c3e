// RUN: %llmc-opt %s --pass-pipeline='snapshot-locations{file="%t.snapshot"}' --mlir-print-debuginfo | filecheck %s
// RUN: filecheck %s --input-file %t.snapshot --check-prefix SNAPSHOT

// CHECK:      arith.addf %x, %x : f32 loc("{{.*}}.snapshot":3:1)
// SNAPSHOT:   arith.addf %x, %x : f32

func.func @main(%x: f32) -> f32 {
  %0 = arith.addf %x, %x : f32 loc("mlp"("model.py":7:1))
  func.return %0 : f32
}
