// RUN: %llmc-opt %s --pass-pipeline canonicalize | filecheck %s

func.func @integers(%x: i32) -> (i32, i32, i32, i32, i8) {
  %0 = arith.constant 0 : i32
  %1 = arith.constant 1 : i32
  %7 = arith.constant 7 : i32
  %a = arith.addi %x, %0 : i32
  %b = arith.muli %1, %a : i32
  %c = arith.addi %7, %b : i32
  %d = arith.muli %x, %0 : i32
  %e = arith.addi %7, %7 : i32
  %big = arith.constant 100 : i8
  %f = arith.addi %big, %big : i8
  func.return %b, %c, %d, %e, %f : i32, i32, i32, i32, i8
}

// CHECK-LABEL: func.func @integers
// CHECK-DAG:     [[ZERO:%.*]] = arith.constant 0 : i32
// CHECK-DAG:     [[SEVEN:%.*]] = arith.constant 7 : i32
// CHECK-DAG:     [[SUM:%.*]] = arith.addi %x, [[SEVEN]] : i32
// CHECK-DAG:     [[FOURTEEN:%.*]] = arith.constant 14 : i32
// CHECK-DAG:     [[WRAPPED:%.*]] = arith.constant -56 : i8
// CHECK:         func.return %x, [[SUM]], [[ZERO]], [[FOURTEEN]], [[WRAPPED]]

func.func @floats(%x: f32) -> (f32, f32) {
  %a = arith.constant 1.0 : f32
  %b = arith.constant 0.0 : f32
  %c = arith.divf %a, %b : f32
  %d = arith.addf %x, %b : f32
  func.return %c, %d : f32, f32
}

// CHECK-LABEL: func.func @floats
// CHECK:         arith.constant 0x7f800000 : f32
// CHECK:         arith.addf %x
