// RUN: %llmc-opt %s --pass-pipeline print-op-stats -o %t 2>&1 | filecheck %s

// CHECK:      Operations encountered:
// CHECK-NEXT:   arith.addf {{.*}} , 2
// CHECK-DAG:    func.func {{.*}} , 1

func.func @main(%x: f32) -> f32 {
  %0 = arith.addf %x, %x : f32
  %1 = arith.addf %0, %x : f32
  func.return %1 : f32
}
