// RUN: %llmc-opt %s --pass-pipeline 'select-token' | filecheck %s

// Select each sequence's last token before the final norm and the language model head, which then work on B rows.

func.func @main(%x: tensor<?x4xf32, #nn.dims<["T", "_"]>>, %b: !nn.batch<"T", "B">, %kv: !nn.state<token, tensor<2x1x8xf32>>, %w: tensor<9x4xf32>) -> tensor<?x9xf32, #nn.dims<["T", "_"]>> {
  %0 = nn.linear %x, %w {acc = f32} : (tensor<?x4xf32, #nn.dims<["T", "_"]>>, tensor<9x4xf32>) -> tensor<?x9xf32, #nn.dims<["T", "_"]>>
  func.return %0 : tensor<?x9xf32, #nn.dims<["T", "_"]>>
}

// CHECK:      func.func @main(
// CHECK-NEXT: %0 = nn.select_token %x, %b
// CHECK-NEXT: %1 = nn.linear %0, %w
// CHECK-NEXT: func.return %1
