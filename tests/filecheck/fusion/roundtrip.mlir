// RUN: %llmc-opt %s | %llmc-opt - | filecheck %s
// RUN: %llmc-opt %s --mlir-print-op-generic | %llmc-opt - | filecheck %s

// Every op of fusion: groups in place, outlined kernels, launches.

// CHECK: fusion.kernel @double(%x: tensor<4xf32>, %y: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) attributes {family =
fusion.kernel @double(%x: tensor<4xf32>, %y: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) attributes {family = "pointwise"} {
  // CHECK: %z = arith.addf %x, %y : tensor<4xf32>
  %z = arith.addf %x, %y : tensor<4xf32>
  // CHECK: fusion.return %z, %x : tensor<4xf32>, tensor<4xf32>
  fusion.return %z, %x : tensor<4xf32>, tensor<4xf32>
}
// CHECK: fusion.kernel @nothing() attributes {family = "generic", note = "no operands, no results"} {
fusion.kernel @nothing() attributes {family = "generic", note = "no operands, no results"} {
  // CHECK: fusion.return
  fusion.return
}
// CHECK: func.func @main(%a: tensor<4xf32>, %b: tensor<4xf32>) -> tensor<4xf32> {
func.func @main(%a: tensor<4xf32>, %b: tensor<4xf32>) -> tensor<4xf32> {
  // CHECK: %c, %d = fusion.launch @double(%a, %b) : (tensor<4xf32>, tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>)
  %c, %d = fusion.launch @double(%a, %b) : (tensor<4xf32>, tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>)
  // CHECK: %e = fusion.group "pointwise" (%p = %c : tensor<4xf32>, %q = %d : tensor<4xf32>) -> tensor<4xf32> attributes {note = 1
  %e = fusion.group "pointwise" (%p = %c : tensor<4xf32>, %q = %d : tensor<4xf32>) -> tensor<4xf32> attributes {note = 1 : i32} {
    // CHECK: %r = arith.addf %p, %q : tensor<4xf32>
    %r = arith.addf %p, %q : tensor<4xf32>
    // CHECK: fusion.yield %r : tensor<4xf32>
    fusion.yield %r : tensor<4xf32>
  }
  // CHECK: %f, %f_1 = fusion.group "generic" (%p = %c : tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %f, %f_1 = fusion.group "generic" (%p = %c : tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
    // CHECK: fusion.yield %p, %p : tensor<4xf32>, tensor<4xf32>
    fusion.yield %p, %p : tensor<4xf32>, tensor<4xf32>
  }
  // CHECK: fusion.launch @nothing() : () -> ()
  fusion.launch @nothing() : () -> ()
  // CHECK: func.return %e : tensor<4xf32>
  func.return %e : tensor<4xf32>
}
