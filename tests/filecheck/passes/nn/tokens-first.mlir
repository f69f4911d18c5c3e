// RUN: %llmc-opt %s --pass-pipeline 'tokens-first' | filecheck %s

// Angles [1, T, R] that are cut and written out in place, as GLM does, and a rotation over heads first.

func.func @main(%x: tensor<?x2x4xf32, #nn.dims<["T", "_", "_"]>>, %angles: tensor<?x4xf32, #nn.dims<["T", "_"]>>) -> tensor<?x2x4xf32, #nn.dims<["T", "_", "_"]>> {
  %0 = nn.transpose %x {perm = array<i64: 1, 0, 2>} : (tensor<?x2x4xf32, #nn.dims<["T", "_", "_"]>>) -> tensor<2x?x4xf32, #nn.dims<["_", "T", "_"]>>
  %1 = nn.reshape %angles : (tensor<?x4xf32, #nn.dims<["T", "_"]>>) -> tensor<1x?x4xf32, #nn.dims<["_", "T", "_"]>>
  %2 = nn.slice %1 {axis = 2 : i64, stop = "2"} : (tensor<1x?x4xf32, #nn.dims<["_", "T", "_"]>>) -> tensor<1x?x2xf32, #nn.dims<["_", "T", "_"]>>
  %3 = nn.concat %2, %2 {axis = 2 : i64} : (tensor<1x?x2xf32, #nn.dims<["_", "T", "_"]>>, tensor<1x?x2xf32, #nn.dims<["_", "T", "_"]>>) -> tensor<1x?x4xf32, #nn.dims<["_", "T", "_"]>>
  %4 = nn.mul %0, %3 : (tensor<2x?x4xf32, #nn.dims<["_", "T", "_"]>>, tensor<1x?x4xf32, #nn.dims<["_", "T", "_"]>>) -> tensor<2x?x4xf32, #nn.dims<["_", "T", "_"]>>
  %5 = nn.transpose %4 {perm = array<i64: 1, 0, 2>} : (tensor<2x?x4xf32, #nn.dims<["_", "T", "_"]>>) -> tensor<?x2x4xf32, #nn.dims<["T", "_", "_"]>>
  func.return %5 : tensor<?x2x4xf32, #nn.dims<["T", "_", "_"]>>
}

// CHECK:      func.func @main(
// CHECK-NEXT: %0 = nn.reshape %angles : (tensor<?x4xf32, {{.*}}>) -> tensor<?x1x4xf32
// CHECK-NEXT: %1 = nn.slice %0 {axis = 2 : i64, stop = "2"}
// CHECK-NEXT: %2 = nn.concat %1, %1 {axis = 2 : i64}
// CHECK-NEXT: %3 = nn.mul %x, %2
// CHECK-NEXT: func.return %3

// A product over tokens is no op on single tokens: it stays, and what it needs is turned back.

func.func @pairs(%x: tensor<?x2x4xf32, #nn.dims<["T", "_", "_"]>>) -> tensor<2x4x4xf32> {
  %0 = nn.transpose %x {perm = array<i64: 1, 0, 2>} : (tensor<?x2x4xf32, #nn.dims<["T", "_", "_"]>>) -> tensor<2x?x4xf32, #nn.dims<["_", "T", "_"]>>
  %1 = nn.relu %0 : (tensor<2x?x4xf32, #nn.dims<["_", "T", "_"]>>) -> tensor<2x?x4xf32, #nn.dims<["_", "T", "_"]>>
  %2 = nn.transpose %0 {perm = array<i64: 0, 2, 1>} : (tensor<2x?x4xf32, #nn.dims<["_", "T", "_"]>>) -> tensor<2x4x?xf32, #nn.dims<["_", "_", "T"]>>
  %3 = nn.matmul %2, %1 {acc = f32} : (tensor<2x4x?xf32, #nn.dims<["_", "_", "T"]>>, tensor<2x?x4xf32, #nn.dims<["_", "T", "_"]>>) -> tensor<2x4x4xf32>
  func.return %3 : tensor<2x4x4xf32>
}

// CHECK:      func.func @pairs(
// CHECK-NEXT: %0 = nn.relu %x
// CHECK-NEXT: %1 = nn.transpose %0 {perm = array<i64: 1, 0, 2>}
// CHECK-NEXT: %2 = nn.transpose %x {perm = array<i64: 1, 2, 0>}
// CHECK-NEXT: %3 = nn.matmul %2, %1
