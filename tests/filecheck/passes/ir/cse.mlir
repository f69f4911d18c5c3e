// RUN: %llmc-opt %s --pass-pipeline cse | filecheck %s

func.func @shared(%x: tensor<4xf32>, %c: i1) -> (tensor<4xf32>, f32) {
  %0 = nn.exp %x : (tensor<4xf32>) -> tensor<4xf32>
  %1 = nn.exp %x : (tensor<4xf32>) -> tensor<4xf32>
  %2 = nn.add %0, %1 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %a = arith.constant 1.0 : f32
  %3 = scf.if %c -> (f32) {
    %b = arith.constant 1.0 : f32
    %d = arith.addf %a, %b : f32
    scf.yield %d : f32
  } else {
    %e = arith.addf %a, %a : f32
    scf.yield %e : f32
  }
  func.return %2, %3 : tensor<4xf32>, f32
}

// CHECK-LABEL: func.func @shared
// CHECK-NEXT:  [[E:%.*]] = nn.exp %x
// CHECK-NEXT:  nn.add [[E]], [[E]]
// CHECK-NEXT:  [[A:%.*]] = arith.constant
// CHECK-NEXT:  scf.if
// CHECK-NEXT:    arith.addf [[A]], [[A]]
// CHECK-NEXT:    scf.yield
// CHECK-NEXT:  } else {
// CHECK-NEXT:    arith.addf [[A]], [[A]]

func.func @different(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = nn.exp %x : (tensor<4xf32>) -> tensor<4xf32>
  %1 = nn.exp %0 : (tensor<4xf32>) -> tensor<4xf32>
  func.return %1 : tensor<4xf32>
}

// CHECK-LABEL: func.func @different
// CHECK-COUNT-2: nn.exp
