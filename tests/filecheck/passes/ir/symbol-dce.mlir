// RUN: %llmc-opt %s --pass-pipeline 'symbol-dce{keep=kept}' | filecheck %s

// CHECK-NOT: @lost
// CHECK: nn.weight @used
// CHECK-NOT: @lost
// CHECK: nn.weight @kept
// CHECK: func.func @main

nn.weight @lost { %0 = nn.entry "lost" : tensor<4xf32> nn.yield %0 : tensor<4xf32> }
nn.weight @used { %0 = nn.entry "used" : tensor<4xf32> nn.yield %0 : tensor<4xf32> }
nn.weight @kept { %0 = nn.entry "kept" : tensor<4xf32> nn.yield %0 : tensor<4xf32> }
func.func private @lost_too() -> tensor<4xf32> {
  %0 = nn.param @lost : tensor<4xf32>
  func.return %0 : tensor<4xf32>
}
func.func @main() -> tensor<4xf32> {
  %0 = nn.param @used : tensor<4xf32>
  func.return %0 : tensor<4xf32>
}
