// RUN: %llmc-opt %s --pass-pipeline 'introduce-state' | filecheck %s

// Prove that attention alone mixes tokens, then give each attention a state to append to and a batch to read it by.

func.func @main(%q: tensor<?x2x8xf32, #nn.dims<["T", "_", "_"]>>, %k: tensor<?x1x8xf32, #nn.dims<["T", "_", "_"]>>) -> tensor<?x2x8xf32, #nn.dims<["T", "_", "_"]>> {
  %0 = nn.attention %q keys(%k, %k) {scale = 1.0 : f64, mask = #nn.mask<causal = true>} : (tensor<?x2x8xf32, #nn.dims<["T", "_", "_"]>>, tensor<?x1x8xf32, #nn.dims<["T", "_", "_"]>>, tensor<?x1x8xf32, #nn.dims<["T", "_", "_"]>>) -> tensor<?x2x8xf32, #nn.dims<["T", "_", "_"]>>
  func.return %0 : tensor<?x2x8xf32, #nn.dims<["T", "_", "_"]>>
}

// CHECK:      func.func @main(
// CHECK-NEXT: %0 = nn.append %kv0, %k, %k, %b
// CHECK-NEXT: %1 = nn.attention %q state(%0) batch(%b) {scale = 1.000000e+00
// CHECK-NEXT: func.return %1, %0
