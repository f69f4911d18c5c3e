// RUN: %llmc-opt %s | %llmc-opt - | filecheck %s
// RUN: %llmc-opt %s --mlir-print-op-generic | %llmc-opt - | filecheck %s

// Encodings and layouts in more than one type get a name on top; a linalg.generic with several results reads back.

// CHECK: #dims = #nn.dims<["T", "_"]>
// CHECK: func.func @main
func.func @main(%x: tensor<?x4xf32, #nn.dims<["T", "_"]>>, %y: tensor<?x4xbf16, #nn.dims<["T", "_"]>>) -> (tensor<?x4xf32, #nn.dims<["T", "_"]>>, tensor<?x4xf32, #nn.dims<["T", "_"]>>) {
  // CHECK: linalg.generic
  // CHECK: ^{{.*}}(%{{.*}}: f32, %{{.*}}: f32, %{{.*}}: f32):
  %0, %1 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<?x4xf32, #nn.dims<["T", "_"]>>) outs(%x, %x : tensor<?x4xf32, #nn.dims<["T", "_"]>>, tensor<?x4xf32, #nn.dims<["T", "_"]>>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    // CHECK: linalg.yield
    linalg.yield %a, %a : f32, f32
  // CHECK: } -> tensor<?x4xf32, #dims>, tensor<?x4xf32, #dims>
  } -> tensor<?x4xf32, #nn.dims<["T", "_"]>>, tensor<?x4xf32, #nn.dims<["T", "_"]>>
  // CHECK: func.return
  func.return %0, %1 : tensor<?x4xf32, #nn.dims<["T", "_"]>>, tensor<?x4xf32, #nn.dims<["T", "_"]>>
}
