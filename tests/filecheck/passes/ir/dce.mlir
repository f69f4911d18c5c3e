// RUN: %llmc-opt %s --pass-pipeline dce | filecheck %s

// CHECK:      func.func @main
// CHECK-NEXT:   func.return

func.func @main(%x: f32) -> f32 {
  %0 = arith.addf %x, %x : f32
  %1 = arith.mulf %0, %x : f32
  func.return %x : f32
}
