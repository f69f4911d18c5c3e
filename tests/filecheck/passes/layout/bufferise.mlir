// RUN: %llmc-opt %s --pass-pipeline bufferise | filecheck %s

// A function becomes a program, its tensors become buffers that the kernel reads and writes, and a state becomes pools of pages.

#t = #nn.dims<["T", "_"]>
#h = #nn.dims<["T", "_", "_"]>
#ids = #nn.dims<["T"]>

fusion.kernel @gather(%ids: tensor<?xi32, #ids>, %w: tensor<512x64xbf16>) -> tensor<?x64xbf16, #t> attributes {family = "gather"} {
  %0 = nn.embedding %ids, %w : (tensor<?xi32, #ids>, tensor<512x64xbf16>) -> tensor<?x64xbf16, #t>
  fusion.return %0 : tensor<?x64xbf16, #t>
}
fusion.kernel @append(%kv: !nn.state<token, tensor<2x1x64xbf16>>, %x: tensor<?x64xbf16, #t>, %b: !nn.batch<"T", "T">) -> !nn.state<token, tensor<2x1x64xbf16>> attributes {family = "generic"} {
  %0 = nn.reshape %x : (tensor<?x64xbf16, #t>) -> tensor<?x1x64xbf16, #h>
  %1 = nn.append %kv, %0, %0, %b : (!nn.state<token, tensor<2x1x64xbf16>>, tensor<?x1x64xbf16, #h>, tensor<?x1x64xbf16, #h>, !nn.batch<"T", "T">) -> !nn.state<token, tensor<2x1x64xbf16>>
  fusion.return %1 : !nn.state<token, tensor<2x1x64xbf16>>
}
nn.weight @embed {
  %0 = nn.entry "embed" : tensor<512x64xbf16>
  nn.yield %0 : tensor<512x64xbf16>
}
func.func @decode(%ids: tensor<?xi32, #ids>, %b: !nn.batch<"T", "T">, %kv: !nn.state<token, tensor<2x1x64xbf16>>) -> (tensor<?x64xbf16, #t>, !nn.state<token, tensor<2x1x64xbf16>>) attributes {nn.donates = [[1, 2]], nn.ranges = {T = [1, 8]}, nn.regime = "decode"} {
  %w = nn.param @embed : tensor<512x64xbf16>
  %x = fusion.launch @gather(%ids, %w) : (tensor<?xi32, #ids>, tensor<512x64xbf16>) -> tensor<?x64xbf16, #t>
  %kv1 = fusion.launch @append(%kv, %x, %b) : (!nn.state<token, tensor<2x1x64xbf16>>, tensor<?x64xbf16, #t>, !nn.batch<"T", "T">) -> !nn.state<token, tensor<2x1x64xbf16>>
  func.return %x, %kv1 : tensor<?x64xbf16, #t>, !nn.state<token, tensor<2x1x64xbf16>>
}

// CHECK-NOT: func.func
// CHECK:     rt.program @decode
// CHECK:     rt.io "ids" : !layout.buffer<["T"], i32>
// CHECK:     rt.io "k_pages.0" : !layout.buffer<["P", 1, 64, 64], bf16>
// CHECK:     rt.io "v_pages.0" : !layout.buffer<["P", 1, 64, 64], bf16>
// CHECK:     rt.param @embed : !layout.buffer<[512, 64], bf16>
// CHECK:     rt.launch @gather
// CHECK:     rt.launch @append
// CHECK:     rt.return
// CHECK:     layout.kernel @gather
// CHECK:       layout.read
// CHECK:       nn.embedding
// CHECK:       layout.write
// CHECK:     layout.kernel @append
// CHECK:       layout.state
// CHECK:       layout.write_state
