// RUN: %llmc-opt %s --pass-pipeline 'merge-linears' | filecheck %s

// Replace linears of the same input by one whose weight is defined as theirs, concatenated; the results are slices of it.

nn.weight @m.q_proj.weight {
  %0 = nn.entry "m.q_proj.weight" : tensor<8x8xbf16>
  nn.yield %0 : tensor<8x8xbf16>
}
nn.weight @m.k_proj.weight {
  %0 = nn.entry "m.k_proj.weight" : tensor<4x8xbf16>
  nn.yield %0 : tensor<4x8xbf16>
}
func.func @main(%x: tensor<2x8xbf16>) -> (tensor<2x8xbf16>, tensor<2x4xbf16>) {
  %0 = nn.param @m.q_proj.weight : tensor<8x8xbf16>
  %1 = nn.linear %x, %0 {acc = f32} : (tensor<2x8xbf16>, tensor<8x8xbf16>) -> tensor<2x8xbf16>
  %2 = nn.param @m.k_proj.weight : tensor<4x8xbf16>
  %3 = nn.linear %x, %2 {acc = f32} : (tensor<2x8xbf16>, tensor<4x8xbf16>) -> tensor<2x4xbf16>
  func.return %1, %3 : tensor<2x8xbf16>, tensor<2x4xbf16>
}

// CHECK:      nn.weight @m.q_proj.k_proj.weight {
// CHECK-NEXT: %0 = nn.entry "m.q_proj.weight" : tensor<8x8xbf16>
// CHECK-NEXT: %1 = nn.entry "m.k_proj.weight" : tensor<4x8xbf16>
// CHECK-NEXT: %2 = nn.concat %0, %1 {axis = 0 : i64} : (tensor<8x8xbf16>, tensor<4x8xbf16>) -> tensor<12x8xbf16>
// CHECK-NEXT: nn.yield %2 : tensor<12x8xbf16>
// CHECK:      func.func @main(%x: tensor<2x8xbf16>) -> (tensor<2x8xbf16>, tensor<2x4xbf16>) {
// CHECK-NEXT: %0 = nn.param @m.q_proj.k_proj.weight : tensor<12x8xbf16>
// CHECK-NEXT: %1 = nn.linear %x, %0 : (tensor<2x8xbf16>, tensor<12x8xbf16>) -> tensor<2x12xbf16>
// CHECK-NEXT: %2 = nn.slice %1 {axis = 1 : i64, stop = "8"} : (tensor<2x12xbf16>) -> tensor<2x8xbf16>
// CHECK-NEXT: %3 = nn.slice %1 {axis = 1 : i64, start = "8", stop = "12"} : (tensor<2x12xbf16>) -> tensor<2x4xbf16>
// CHECK-NEXT: func.return %2, %3 : tensor<2x8xbf16>, tensor<2x4xbf16>
