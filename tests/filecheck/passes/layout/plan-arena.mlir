// RUN: %llmc-opt %s --pass-pipeline plan-arena | filecheck %s

// %a is read for the last time where %b is written, so that they need two slots; %c takes the place of %a.

rt.program @p attributes {sizes = ["T"]} {
  %x = rt.io "x" : !layout.buffer<["T", 64], bf16>
  %a = rt.temp : !layout.buffer<["T", 64], bf16>
  rt.launch @k(%x, %a) grid ["1", "1", "1"] sizes ["T"] : (!layout.buffer<["T", 64], bf16>, !layout.buffer<["T", 64], bf16>)
  %b = rt.temp : !layout.buffer<["T", 64], bf16>
  rt.launch @k(%a, %b) grid ["1", "1", "1"] sizes ["T"] : (!layout.buffer<["T", 64], bf16>, !layout.buffer<["T", 64], bf16>)
  %c = rt.temp : !layout.buffer<["T", 64], bf16>
  rt.launch @k(%b, %c) grid ["1", "1", "1"] sizes ["T"] : (!layout.buffer<["T", 64], bf16>, !layout.buffer<["T", 64], bf16>)
  rt.launch @k(%c, %x) grid ["1", "1", "1"] sizes ["T"] : (!layout.buffer<["T", 64], bf16>, !layout.buffer<["T", 64], bf16>)
  rt.return
}
layout.kernel @k(%x: !layout.buffer<["T", 64], bf16>, %y: !layout.buffer<["T", 64], bf16>, %T: i32) attributes {family = "pointwise", arg_effects = ["r", "w"], sizes = ["T"], grid = ["1", "1", "1"]} {
  %0 = layout.read %x : !layout.buffer<["T", 64], bf16> -> tensor<?x64xbf16, #nn.dims<["T", "_"]>>
  layout.write %0, %y : tensor<?x64xbf16, #nn.dims<["T", "_"]>> -> !layout.buffer<["T", 64], bf16>
  layout.return
}

// CHECK-NOT: rt.temp
// CHECK:     %arena = rt.arena ["{{[^"]+}}", "{{[^"]+}}"]
// CHECK:     %a = rt.view %arena[0] : !layout.buffer<["T", 64], bf16>
// CHECK:     %b = rt.view %arena[1] : !layout.buffer<["T", 64], bf16>
// CHECK:     %c = rt.view %arena[0] : !layout.buffer<["T", 64], bf16>
