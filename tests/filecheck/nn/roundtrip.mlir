// RUN: %llmc-opt %s | %llmc-opt - --mlir-print-local-scope | filecheck %s
// RUN: %llmc-opt %s --mlir-print-op-generic | %llmc-opt - --mlir-print-local-scope | filecheck %s

// Every op of nn, read and printed. Sizes that are no numbers have names, in the encoding of the tensor type.

#dims = #nn.dims<["T", "_"]>
#dims1 = #nn.dims<["T", "_", "_"]>

// CHECK: nn.weight @l0.w {
nn.weight @l0.w {
  // CHECK: %0 = nn.entry "l0.w" : tensor<128x64xbf16>
  %0 = nn.entry "l0.w" : tensor<128x64xbf16>
  // CHECK: nn.yield %0 : tensor<128x64xbf16>
  nn.yield %0 : tensor<128x64xbf16>
}
// CHECK: nn.weight @norm {
nn.weight @norm {
  // CHECK: %0 = nn.entry "norm" : tensor<64xbf16>
  %0 = nn.entry "norm" : tensor<64xbf16>
  // CHECK: nn.yield %0 : tensor<64xbf16>
  nn.yield %0 : tensor<64xbf16>
}
// CHECK: func.func @main(%0: tensor<?x64xbf16, #nn.dims<["T", "_"]>>, %1: tensor<?xi32, #nn.dims<["T"]>>, %2: !nn.batch<"T", "B">, %3:
func.func @main(%0: tensor<?x64xbf16, #dims>, %1: tensor<?xi32, #nn.dims<["T"]>>, %2: !nn.batch<"T", "B">, %3: !nn.state<token, tensor<2x2x16xbf16>>, %4: tensor<?x4x16xbf16, #dims1>, %5: tensor<?x2x16xbf16, #dims1>, %6: !nn.sampling, %7: tensor<?x16xf32, #dims>) {
  // CHECK: %8 = nn.param @l0.w : tensor<128x64xbf16>
  %8 = nn.param @l0.w : tensor<128x64xbf16>
  // CHECK: %9 = nn.param @norm : tensor<64xbf16>
  %9 = nn.param @norm : tensor<64xbf16>
  // CHECK: %10 = nn.embedding %1, %8 : (tensor<?xi32, #nn.dims<["T"]>>, tensor<128x64xbf16>) -> tensor<?x64xbf16, #nn.dims<["T", "_"]>>
  %10 = nn.embedding %1, %8 : (tensor<?xi32, #nn.dims<["T"]>>, tensor<128x64xbf16>) -> tensor<?x64xbf16, #dims>
  // CHECK: %11 = nn.linear %0, %8 : (tensor<?x64xbf16, #nn.dims<["T", "_"]>>, tensor<128x64xbf16>) -> tensor<?x128xbf16, #nn.dims<["T", "_"]>>
  %11 = nn.linear %0, %8 : (tensor<?x64xbf16, #dims>, tensor<128x64xbf16>) -> tensor<?x128xbf16, #dims>
  // CHECK: %12 = nn.rms_norm %0, %9 {eps = 1.000000e-06
  %12 = nn.rms_norm %0, %9 {eps = 1.000000e-06 : f64, offset = 1.000000e+00 : f64} : (tensor<?x64xbf16, #dims>, tensor<64xbf16>) -> tensor<?x64xbf16, #dims>
  // CHECK: %13 = nn.layer_norm %0, %9, %9 {eps = 1.000000e-05
  %13 = nn.layer_norm %0, %9, %9 {eps = 1.000000e-05 : f64} : (tensor<?x64xbf16, #dims>, tensor<64xbf16>, tensor<64xbf16>) -> tensor<?x64xbf16, #dims>
  // CHECK: %14 = nn.linear %0, %8 : (tensor<?x64xbf16, #nn.dims<["T", "_"]>>, tensor<128x64xbf16>) -> tensor<?x128xf32, #nn.dims<["T", "_"]>>
  %14 = nn.linear %0, %8 : (tensor<?x64xbf16, #dims>, tensor<128x64xbf16>) -> tensor<?x128xf32, #dims>
  // CHECK: %15 = nn.rope %4, %7, %7
  %15 = nn.rope %4, %7, %7 : (tensor<?x4x16xbf16, #dims1>, tensor<?x16xf32, #dims>, tensor<?x16xf32, #dims>) -> tensor<?x4x16xbf16, #dims1>
  // CHECK: %16 = nn.attention %15 keys(%5, %5) {scale = 2.500000e-01
  %16 = nn.attention %15 keys(%5, %5) {scale = 2.500000e-01 : f64, mask = #nn.mask<causal = false>} : (tensor<?x4x16xbf16, #dims1>, tensor<?x2x16xbf16, #dims1>, tensor<?x2x16xbf16, #dims1>) -> tensor<?x4x16xbf16, #dims1>
  // CHECK: %17 = nn.attention %4 keys(%5, %5) score {
  %17 = nn.attention %4 keys(%5, %5) score {
  ^bb0(%18: f32, %19: i32, %20: i32, %21: i32):
    // CHECK: nn.yield %18 : f32
    nn.yield %18 : f32
  } {scale = 1.000000e-01 : f64, mask = #nn.mask<causal = true, window = 4096>} : (tensor<?x4x16xbf16, #dims1>, tensor<?x2x16xbf16, #dims1>, tensor<?x2x16xbf16, #dims1>) -> tensor<?x4x16xbf16, #dims1>
  // CHECK: %22 = nn.append %3, %5, %5, %2
  %22 = nn.append %3, %5, %5, %2 : (!nn.state<token, tensor<2x2x16xbf16>>, tensor<?x2x16xbf16, #dims1>, tensor<?x2x16xbf16, #dims1>, !nn.batch<"T", "B">) -> !nn.state<token, tensor<2x2x16xbf16>>
  // CHECK: %23 = nn.attention %4 state(%22) batch(%2) {scale = 2.500000e-01
  %23 = nn.attention %4 state(%22) batch(%2) {scale = 2.500000e-01 : f64, mask = #nn.mask<causal = true, window = 4096>} : (tensor<?x4x16xbf16, #dims1>, !nn.state<token, tensor<2x2x16xbf16>>, !nn.batch<"T", "B">) -> tensor<?x4x16xbf16, #dims1>
  // CHECK: %24 = nn.positions %2 : (!nn.batch<"T", "B">) -> tensor<?xi32, #nn.dims<["T"]>>
  %24 = nn.positions %2 : (!nn.batch<"T", "B">) -> tensor<?xi32, #nn.dims<["T"]>>
  // CHECK: %25 = nn.select_token %14, %2
  %25 = nn.select_token %14, %2 : (tensor<?x128xf32, #dims>, !nn.batch<"T", "B">) -> tensor<?x128xf32, #nn.dims<["B", "_"]>>
  // CHECK: %26 = nn.sample %25, %2, %6
  %26 = nn.sample %25, %2, %6 : (tensor<?x128xf32, #nn.dims<["B", "_"]>>, !nn.batch<"T", "B">, !nn.sampling) -> tensor<?xi32, #nn.dims<["B"]>>
  // CHECK: %27 = nn.cmp %11, %11 {predicate = "lt"}
  %27 = nn.cmp %11, %11 {predicate = "lt"} : (tensor<?x128xbf16, #dims>, tensor<?x128xbf16, #dims>) -> tensor<?x128xi1, #dims>
  // CHECK: %28 = nn.silu %11 : (tensor<?x128xbf16, #nn.dims<["T", "_"]>>) -> tensor<?x128xbf16, #nn.dims<["T", "_"]>>
  %28 = nn.silu %11 : (tensor<?x128xbf16, #dims>) -> tensor<?x128xbf16, #dims>
  // CHECK: %29 = nn.select %27, %11, %28
  %29 = nn.select %27, %11, %28 : (tensor<?x128xi1, #dims>, tensor<?x128xbf16, #dims>, tensor<?x128xbf16, #dims>) -> tensor<?x128xbf16, #dims>
  // CHECK: %30 = nn.cast %29 : (tensor<?x128xbf16, #nn.dims<["T", "_"]>>) -> tensor<?x128xf32, #nn.dims<["T", "_"]>>
  %30 = nn.cast %29 : (tensor<?x128xbf16, #dims>) -> tensor<?x128xf32, #dims>
  // CHECK: %31 = nn.constant dense<5.000000e-01> : tensor<bf16>
  %31 = nn.constant dense<5.000000e-01> : tensor<bf16>
  // CHECK: %32 = nn.mul %11, %31 : (tensor<?x128xbf16, #nn.dims<["T", "_"]>>, tensor<bf16>) -> tensor<?x128xbf16, #nn.dims<["T", "_"]>>
  %32 = nn.mul %11, %31 : (tensor<?x128xbf16, #dims>, tensor<bf16>) -> tensor<?x128xbf16, #dims>
  // CHECK: %33 = nn.slice %11 {axis = 0 : i64, start = "T-1", stop = "T"} : (tensor<?x128xbf16, #nn.dims<["T", "_"]>>) -> tensor<1x128xbf16>
  %33 = nn.slice %11 {axis = 0 : i64, start = "T-1", stop = "T"} : (tensor<?x128xbf16, #dims>) -> tensor<1x128xbf16>
  // CHECK: %34 = nn.reshape %11 : (tensor<?x128xbf16, #nn.dims<["T", "_"]>>) -> tensor<?x2x64xbf16, #nn.dims<["T", "_", "_"]>>
  %34 = nn.reshape %11 : (tensor<?x128xbf16, #dims>) -> tensor<?x2x64xbf16, #dims1>
  // CHECK: %35 = nn.transpose %34 {perm = array<i64: 1, 0, 2>}
  %35 = nn.transpose %34 {perm = array<i64: 1, 0, 2>} : (tensor<?x2x64xbf16, #dims1>) -> tensor<2x?x64xbf16, #nn.dims<["_", "T", "_"]>>
  // CHECK: %36 = nn.concat %0, %0 {axis = 0
  %36 = nn.concat %0, %0 {axis = 0 : i64} : (tensor<?x64xbf16, #dims>, tensor<?x64xbf16, #dims>) -> tensor<?x64xbf16, #nn.dims<["2*T", "_"]>>
  // CHECK: %37 = nn.iota {axis = 0 : i64} : () -> tensor<?xi32, #nn.dims<["T"]>>
  %37 = nn.iota {axis = 0 : i64} : () -> tensor<?xi32, #nn.dims<["T"]>>
  // CHECK: %38 = nn.gather %8, %37 {axis = 0
  %38 = nn.gather %8, %37 {axis = 0 : i64} : (tensor<128x64xbf16>, tensor<?xi32, #nn.dims<["T"]>>) -> tensor<?x64xbf16, #dims>
  // CHECK: %39 = nn.broadcast %9 : (tensor<64xbf16>) -> tensor<?x64xbf16, #nn.dims<["T", "_"]>>
  %39 = nn.broadcast %9 : (tensor<64xbf16>) -> tensor<?x64xbf16, #dims>
  // CHECK: %40 = nn.reduce %11 {kind = "max", axes = array<i64: 1>, keepdims = true}
  %40 = nn.reduce %11 {kind = "max", axes = array<i64: 1>, keepdims = true} : (tensor<?x128xbf16, #dims>) -> tensor<?x1xbf16, #dims>
  // CHECK: %41 = nn.softmax %11 {axis = 1 : i64} : (tensor<?x128xbf16, #nn.dims<["T", "_"]>>) -> tensor<?x128xbf16, #nn.dims<["T", "_"]>>
  %41 = nn.softmax %11 {axis = 1 : i64} : (tensor<?x128xbf16, #dims>) -> tensor<?x128xbf16, #dims>
  // CHECK: %42 = nn.argmax %11 {axis = 1 : i64} : (tensor<?x128xbf16, #nn.dims<["T", "_"]>>) -> tensor<?xi32, #nn.dims<["T"]>>
  %42 = nn.argmax %11 {axis = 1 : i64} : (tensor<?x128xbf16, #dims>) -> tensor<?xi32, #nn.dims<["T"]>>
  // CHECK: %43 = nn.cumsum %11 {axis = 0 : i64} : (tensor<?x128xbf16, #nn.dims<["T", "_"]>>) -> tensor<?x128xbf16, #nn.dims<["T", "_"]>>
  %43 = nn.cumsum %11 {axis = 0 : i64} : (tensor<?x128xbf16, #dims>) -> tensor<?x128xbf16, #dims>
  // CHECK: %44, %45 = nn.topk %11 {k = 4 : i64} : (tensor<?x128xbf16, #nn.dims<["T", "_"]>>) -> (tensor<?x4xbf16, #nn.dims<["T", "_"]>>, tensor<?x4xi32, #nn.dims<["T", "_"]>>)
  %44, %45 = nn.topk %11 {k = 4 : i64} : (tensor<?x128xbf16, #dims>) -> (tensor<?x4xbf16, #dims>, tensor<?x4xi32, #dims>)
  // CHECK: %46, %47 = nn.sort %11 {descending = true}
  %46, %47 = nn.sort %11 {descending = true} : (tensor<?x128xbf16, #dims>) -> (tensor<?x128xbf16, #dims>, tensor<?x128xi32, #dims>)
  // CHECK: %48 = nn.transpose %11 {perm = array<i64: 1, 0>}
  %48 = nn.transpose %11 {perm = array<i64: 1, 0>} : (tensor<?x128xbf16, #dims>) -> tensor<128x?xbf16, #nn.dims<["_", "T"]>>
  // CHECK: %49 = nn.matmul %11, %48
  %49 = nn.matmul %11, %48 : (tensor<?x128xbf16, #dims>, tensor<128x?xbf16, #nn.dims<["_", "T"]>>) -> tensor<?x?xbf16, #nn.dims<["T", "T"]>>
  // CHECK: func.return
  func.return
}
// CHECK: func.func @pointwise(%x: tensor<?x8xf32, #nn.dims<["T", "_"]>>, %y: tensor<?x8xf32, #nn.dims<["T", "_"]>>, %i: tensor<?x8xi32, #nn.dims<["T", "_"]>>, %c:
func.func @pointwise(%x: tensor<?x8xf32, #dims>, %y: tensor<?x8xf32, #dims>, %i: tensor<?x8xi32, #dims>, %c: tensor<?x8xi1, #dims>) {
  // CHECK: %0 = nn.add %x, %y : (tensor<?x8xf32, #nn.dims<["T", "_"]>>, tensor<?x8xf32, #nn.dims<["T", "_"]>>) -> tensor<?x8xf32, #nn.dims<["T", "_"]>>
  %0 = nn.add %x, %y : (tensor<?x8xf32, #dims>, tensor<?x8xf32, #dims>) -> tensor<?x8xf32, #dims>
  // CHECK: %1 = nn.sub %x, %y : (tensor<?x8xf32, #nn.dims<["T", "_"]>>, tensor<?x8xf32, #nn.dims<["T", "_"]>>) -> tensor<?x8xf32, #nn.dims<["T", "_"]>>
  %1 = nn.sub %x, %y : (tensor<?x8xf32, #dims>, tensor<?x8xf32, #dims>) -> tensor<?x8xf32, #dims>
  // CHECK: %2 = nn.mul %x, %y : (tensor<?x8xf32, #nn.dims<["T", "_"]>>, tensor<?x8xf32, #nn.dims<["T", "_"]>>) -> tensor<?x8xf32, #nn.dims<["T", "_"]>>
  %2 = nn.mul %x, %y : (tensor<?x8xf32, #dims>, tensor<?x8xf32, #dims>) -> tensor<?x8xf32, #dims>
  // CHECK: %3 = nn.div %x, %y : (tensor<?x8xf32, #nn.dims<["T", "_"]>>, tensor<?x8xf32, #nn.dims<["T", "_"]>>) -> tensor<?x8xf32, #nn.dims<["T", "_"]>>
  %3 = nn.div %x, %y : (tensor<?x8xf32, #dims>, tensor<?x8xf32, #dims>) -> tensor<?x8xf32, #dims>
  // CHECK: %4 = nn.floordiv %i, %i : (tensor<?x8xi32, #nn.dims<["T", "_"]>>, tensor<?x8xi32, #nn.dims<["T", "_"]>>) -> tensor<?x8xi32, #nn.dims<["T", "_"]>>
  %4 = nn.floordiv %i, %i : (tensor<?x8xi32, #dims>, tensor<?x8xi32, #dims>) -> tensor<?x8xi32, #dims>
  // CHECK: %5 = nn.rem %i, %i : (tensor<?x8xi32, #nn.dims<["T", "_"]>>, tensor<?x8xi32, #nn.dims<["T", "_"]>>) -> tensor<?x8xi32, #nn.dims<["T", "_"]>>
  %5 = nn.rem %i, %i : (tensor<?x8xi32, #dims>, tensor<?x8xi32, #dims>) -> tensor<?x8xi32, #dims>
  // CHECK: %6 = nn.pow %x, %y : (tensor<?x8xf32, #nn.dims<["T", "_"]>>, tensor<?x8xf32, #nn.dims<["T", "_"]>>) -> tensor<?x8xf32, #nn.dims<["T", "_"]>>
  %6 = nn.pow %x, %y : (tensor<?x8xf32, #dims>, tensor<?x8xf32, #dims>) -> tensor<?x8xf32, #dims>
  // CHECK: %7 = nn.max %x, %y : (tensor<?x8xf32, #nn.dims<["T", "_"]>>, tensor<?x8xf32, #nn.dims<["T", "_"]>>) -> tensor<?x8xf32, #nn.dims<["T", "_"]>>
  %7 = nn.max %x, %y : (tensor<?x8xf32, #dims>, tensor<?x8xf32, #dims>) -> tensor<?x8xf32, #dims>
  // CHECK: %8 = nn.min %x, %y : (tensor<?x8xf32, #nn.dims<["T", "_"]>>, tensor<?x8xf32, #nn.dims<["T", "_"]>>) -> tensor<?x8xf32, #nn.dims<["T", "_"]>>
  %8 = nn.min %x, %y : (tensor<?x8xf32, #dims>, tensor<?x8xf32, #dims>) -> tensor<?x8xf32, #dims>
  // CHECK: %9 = nn.fma %x, %y, %x
  %9 = nn.fma %x, %y, %x : (tensor<?x8xf32, #dims>, tensor<?x8xf32, #dims>, tensor<?x8xf32, #dims>) -> tensor<?x8xf32, #dims>
  // CHECK: %10 = nn.clamp %x, %y, %x
  %10 = nn.clamp %x, %y, %x : (tensor<?x8xf32, #dims>, tensor<?x8xf32, #dims>, tensor<?x8xf32, #dims>) -> tensor<?x8xf32, #dims>
  // CHECK: %11 = nn.neg %x : (tensor<?x8xf32, #nn.dims<["T", "_"]>>) -> tensor<?x8xf32, #nn.dims<["T", "_"]>>
  %11 = nn.neg %x : (tensor<?x8xf32, #dims>) -> tensor<?x8xf32, #dims>
  // CHECK: %12 = nn.abs %x : (tensor<?x8xf32, #nn.dims<["T", "_"]>>) -> tensor<?x8xf32, #nn.dims<["T", "_"]>>
  %12 = nn.abs %x : (tensor<?x8xf32, #dims>) -> tensor<?x8xf32, #dims>
  // CHECK: %13 = nn.square %x : (tensor<?x8xf32, #nn.dims<["T", "_"]>>) -> tensor<?x8xf32, #nn.dims<["T", "_"]>>
  %13 = nn.square %x : (tensor<?x8xf32, #dims>) -> tensor<?x8xf32, #dims>
  // CHECK: %14 = nn.recip %x : (tensor<?x8xf32, #nn.dims<["T", "_"]>>) -> tensor<?x8xf32, #nn.dims<["T", "_"]>>
  %14 = nn.recip %x : (tensor<?x8xf32, #dims>) -> tensor<?x8xf32, #dims>
  // CHECK: %15 = nn.exp %x : (tensor<?x8xf32, #nn.dims<["T", "_"]>>) -> tensor<?x8xf32, #nn.dims<["T", "_"]>>
  %15 = nn.exp %x : (tensor<?x8xf32, #dims>) -> tensor<?x8xf32, #dims>
  // CHECK: %16 = nn.exp2 %x : (tensor<?x8xf32, #nn.dims<["T", "_"]>>) -> tensor<?x8xf32, #nn.dims<["T", "_"]>>
  %16 = nn.exp2 %x : (tensor<?x8xf32, #dims>) -> tensor<?x8xf32, #dims>
  // CHECK: %17 = nn.log %x : (tensor<?x8xf32, #nn.dims<["T", "_"]>>) -> tensor<?x8xf32, #nn.dims<["T", "_"]>>
  %17 = nn.log %x : (tensor<?x8xf32, #dims>) -> tensor<?x8xf32, #dims>
  // CHECK: %18 = nn.log2 %x : (tensor<?x8xf32, #nn.dims<["T", "_"]>>) -> tensor<?x8xf32, #nn.dims<["T", "_"]>>
  %18 = nn.log2 %x : (tensor<?x8xf32, #dims>) -> tensor<?x8xf32, #dims>
  // CHECK: %19 = nn.log1p %x : (tensor<?x8xf32, #nn.dims<["T", "_"]>>) -> tensor<?x8xf32, #nn.dims<["T", "_"]>>
  %19 = nn.log1p %x : (tensor<?x8xf32, #dims>) -> tensor<?x8xf32, #dims>
  // CHECK: %20 = nn.sqrt %x : (tensor<?x8xf32, #nn.dims<["T", "_"]>>) -> tensor<?x8xf32, #nn.dims<["T", "_"]>>
  %20 = nn.sqrt %x : (tensor<?x8xf32, #dims>) -> tensor<?x8xf32, #dims>
  // CHECK: %21 = nn.rsqrt %x : (tensor<?x8xf32, #nn.dims<["T", "_"]>>) -> tensor<?x8xf32, #nn.dims<["T", "_"]>>
  %21 = nn.rsqrt %x : (tensor<?x8xf32, #dims>) -> tensor<?x8xf32, #dims>
  // CHECK: %22 = nn.tanh %x : (tensor<?x8xf32, #nn.dims<["T", "_"]>>) -> tensor<?x8xf32, #nn.dims<["T", "_"]>>
  %22 = nn.tanh %x : (tensor<?x8xf32, #dims>) -> tensor<?x8xf32, #dims>
  // CHECK: %23 = nn.sin %x : (tensor<?x8xf32, #nn.dims<["T", "_"]>>) -> tensor<?x8xf32, #nn.dims<["T", "_"]>>
  %23 = nn.sin %x : (tensor<?x8xf32, #dims>) -> tensor<?x8xf32, #dims>
  // CHECK: %24 = nn.cos %x : (tensor<?x8xf32, #nn.dims<["T", "_"]>>) -> tensor<?x8xf32, #nn.dims<["T", "_"]>>
  %24 = nn.cos %x : (tensor<?x8xf32, #dims>) -> tensor<?x8xf32, #dims>
  // CHECK: %25 = nn.erf %x : (tensor<?x8xf32, #nn.dims<["T", "_"]>>) -> tensor<?x8xf32, #nn.dims<["T", "_"]>>
  %25 = nn.erf %x : (tensor<?x8xf32, #dims>) -> tensor<?x8xf32, #dims>
  // CHECK: %26 = nn.floor %x : (tensor<?x8xf32, #nn.dims<["T", "_"]>>) -> tensor<?x8xf32, #nn.dims<["T", "_"]>>
  %26 = nn.floor %x : (tensor<?x8xf32, #dims>) -> tensor<?x8xf32, #dims>
  // CHECK: %27 = nn.ceil %x : (tensor<?x8xf32, #nn.dims<["T", "_"]>>) -> tensor<?x8xf32, #nn.dims<["T", "_"]>>
  %27 = nn.ceil %x : (tensor<?x8xf32, #dims>) -> tensor<?x8xf32, #dims>
  // CHECK: %28 = nn.round %x : (tensor<?x8xf32, #nn.dims<["T", "_"]>>) -> tensor<?x8xf32, #nn.dims<["T", "_"]>>
  %28 = nn.round %x : (tensor<?x8xf32, #dims>) -> tensor<?x8xf32, #dims>
  // CHECK: %29 = nn.trunc %x : (tensor<?x8xf32, #nn.dims<["T", "_"]>>) -> tensor<?x8xf32, #nn.dims<["T", "_"]>>
  %29 = nn.trunc %x : (tensor<?x8xf32, #dims>) -> tensor<?x8xf32, #dims>
  // CHECK: %30 = nn.sigmoid %x : (tensor<?x8xf32, #nn.dims<["T", "_"]>>) -> tensor<?x8xf32, #nn.dims<["T", "_"]>>
  %30 = nn.sigmoid %x : (tensor<?x8xf32, #dims>) -> tensor<?x8xf32, #dims>
  // CHECK: %31 = nn.silu %x : (tensor<?x8xf32, #nn.dims<["T", "_"]>>) -> tensor<?x8xf32, #nn.dims<["T", "_"]>>
  %31 = nn.silu %x : (tensor<?x8xf32, #dims>) -> tensor<?x8xf32, #dims>
  // CHECK: %32 = nn.gelu %x : (tensor<?x8xf32, #nn.dims<["T", "_"]>>) -> tensor<?x8xf32, #nn.dims<["T", "_"]>>
  %32 = nn.gelu %x : (tensor<?x8xf32, #dims>) -> tensor<?x8xf32, #dims>
  // CHECK: %33 = nn.gelu_tanh %x : (tensor<?x8xf32, #nn.dims<["T", "_"]>>) -> tensor<?x8xf32, #nn.dims<["T", "_"]>>
  %33 = nn.gelu_tanh %x : (tensor<?x8xf32, #dims>) -> tensor<?x8xf32, #dims>
  // CHECK: %34 = nn.relu %x : (tensor<?x8xf32, #nn.dims<["T", "_"]>>) -> tensor<?x8xf32, #nn.dims<["T", "_"]>>
  %34 = nn.relu %x : (tensor<?x8xf32, #dims>) -> tensor<?x8xf32, #dims>
  // CHECK: %35 = nn.and %i, %i : (tensor<?x8xi32, #nn.dims<["T", "_"]>>, tensor<?x8xi32, #nn.dims<["T", "_"]>>) -> tensor<?x8xi32, #nn.dims<["T", "_"]>>
  %35 = nn.and %i, %i : (tensor<?x8xi32, #dims>, tensor<?x8xi32, #dims>) -> tensor<?x8xi32, #dims>
  // CHECK: %36 = nn.or %i, %i : (tensor<?x8xi32, #nn.dims<["T", "_"]>>, tensor<?x8xi32, #nn.dims<["T", "_"]>>) -> tensor<?x8xi32, #nn.dims<["T", "_"]>>
  %36 = nn.or %i, %i : (tensor<?x8xi32, #dims>, tensor<?x8xi32, #dims>) -> tensor<?x8xi32, #dims>
  // CHECK: %37 = nn.xor %i, %i : (tensor<?x8xi32, #nn.dims<["T", "_"]>>, tensor<?x8xi32, #nn.dims<["T", "_"]>>) -> tensor<?x8xi32, #nn.dims<["T", "_"]>>
  %37 = nn.xor %i, %i : (tensor<?x8xi32, #dims>, tensor<?x8xi32, #dims>) -> tensor<?x8xi32, #dims>
  // CHECK: %38 = nn.not %i : (tensor<?x8xi32, #nn.dims<["T", "_"]>>) -> tensor<?x8xi32, #nn.dims<["T", "_"]>>
  %38 = nn.not %i : (tensor<?x8xi32, #dims>) -> tensor<?x8xi32, #dims>
  // CHECK: %39 = nn.cmp %x, %y {predicate = "lt"} : (tensor<?x8xf32, #nn.dims<["T", "_"]>>, tensor<?x8xf32, #nn.dims<["T", "_"]>>) -> tensor<?x8xi1, #nn.dims<["T", "_"]>>
  %39 = nn.cmp %x, %y {predicate = "lt"} : (tensor<?x8xf32, #dims>, tensor<?x8xf32, #dims>) -> tensor<?x8xi1, #dims>
  // CHECK: %40 = nn.select %c, %x, %y
  %40 = nn.select %c, %x, %y : (tensor<?x8xi1, #dims>, tensor<?x8xf32, #dims>, tensor<?x8xf32, #dims>) -> tensor<?x8xf32, #dims>
  // CHECK: %41 = nn.cast %x : (tensor<?x8xf32, #nn.dims<["T", "_"]>>) -> tensor<?x8xbf16, #nn.dims<["T", "_"]>>
  %41 = nn.cast %x : (tensor<?x8xf32, #dims>) -> tensor<?x8xbf16, #dims>
  // CHECK: func.return
  func.return
}
// CHECK: func.func @others(%x: tensor<?x8xf32, #nn.dims<["T", "_"]>>, %i: tensor<?x2xi32, #nn.dims<["T", "_"]>>, %s: tensor<4x16xf32>, %w: tensor<8x2x3xf32>) {
func.func @others(%x: tensor<?x8xf32, #dims>, %i: tensor<?x2xi32, #dims>, %s: tensor<4x16xf32>, %w: tensor<8x2x3xf32>) {
  // CHECK: %0 = nn.take_along %x, %i {axis = 1 : i64} : (tensor<?x8xf32, #nn.dims<["T", "_"]>>, tensor<?x2xi32, #nn.dims<["T", "_"]>>) -> tensor<?x2xf32, #nn.dims<["T", "_"]>>
  %0 = nn.take_along %x, %i {axis = 1 : i64} : (tensor<?x8xf32, #dims>, tensor<?x2xi32, #dims>) -> tensor<?x2xf32, #dims>
  // CHECK: %1 = nn.size {size = "T"} : () -> tensor<i32>
  %1 = nn.size {size = "T"} : () -> tensor<i32>
  // CHECK: %2 = nn.empty : () -> tensor<?x8xf32, #nn.dims<["T", "_"]>>
  %2 = nn.empty : () -> tensor<?x8xf32, #dims>
  // CHECK: %3 = nn.conv1d %s, %w {padding = 1 : i64, groups = 2 : i64} : (tensor<4x16xf32>, tensor<8x2x3xf32>) -> tensor<8x16xf32>
  %3 = nn.conv1d %s, %w {padding = 1 : i64, groups = 2 : i64} : (tensor<4x16xf32>, tensor<8x2x3xf32>) -> tensor<8x16xf32>
  // CHECK: func.return
  func.return
}
