// RUN: %llmc-opt %s --pass-pipeline 'add-sampling' | filecheck %s

// Add an nn.sampling argument at the end and the sampled token ids as result 1, after the logits; donations follow.

func.func @main(%l: tensor<?x9xf32, #nn.dims<["B", "_"]>>, %b: !nn.batch<"T", "B">, %kv: !nn.state<token, tensor<2x1x8xf32>>) -> (tensor<?x9xf32, #nn.dims<["B", "_"]>>, !nn.state<token, tensor<2x1x8xf32>>) attributes {nn.donates = [[1, 2]]} {
  func.return %l, %kv : tensor<?x9xf32, #nn.dims<["B", "_"]>>, !nn.state<token, tensor<2x1x8xf32>>
}

// CHECK:      func.func @main(
// CHECK-NEXT: %0 = nn.sample %l, %b, %sampling
// CHECK-NEXT: func.return %l, %0, %kv
