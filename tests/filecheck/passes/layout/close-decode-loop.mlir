// RUN: %llmc-opt %s --pass-pipeline close-decode-loop | filecheck %s

// A program that decodes samples from its logits and moves every sequence one token on; @sample does it for the step after a prefill.

rt.program @prefill attributes {sizes = ["B"]} {
  %logits = rt.io "logits" : !layout.buffer<["B", 32], f32>
  rt.return
}
rt.program @decode attributes {sizes = ["T"], nn.regime = "decode"} {
  %logits = rt.io "logits" : !layout.buffer<["T", 32], f32>
  rt.return
}

// CHECK:      rt.program @prefill
// CHECK-NOT:  rt.launch
// CHECK:      rt.program @decode
// CHECK:      rt.launch @sample_kernel
// CHECK:      rt.launch @advance_kernel
// CHECK-NEXT: rt.return
// CHECK:      layout.kernel @sample_kernel
// CHECK:      nn.sample
// CHECK:      layout.kernel @advance_kernel
// CHECK:      layout.advance
// CHECK:      rt.program @sample
// CHECK:      rt.launch @sample_kernel
