// RUN: %llmc-opt %s --pass-pipeline 'specialise-sizes' | filecheck %s

// Clone @main into @decode (every sequence has one token: B becomes T, T ≤ `decode_tokens` and `sequences`) and @prefill (any T).

func.func @main(%x: tensor<?x8xbf16, #nn.dims<["T", "_"]>>, %b: !nn.batch<"T", "B">, %kv: !nn.state<token, tensor<2x1x8xbf16>>) -> tensor<?x8xbf16, #nn.dims<["B", "_"]>> {
  %0 = nn.select_token %x, %b {which = "last"} : (tensor<?x8xbf16, #nn.dims<["T", "_"]>>, !nn.batch<"T", "B">) -> tensor<?x8xbf16, #nn.dims<["B", "_"]>>
  func.return %0 : tensor<?x8xbf16, #nn.dims<["B", "_"]>>
}

// CHECK:      func.func @prefill(
// CHECK-NEXT: %0 = nn.select_token %x, %b
// CHECK-NEXT: func.return %0
// CHECK:      func.func @decode(
// CHECK-NEXT: func.return %x
