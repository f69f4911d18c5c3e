// RUN: %llmc-opt %s --pass-pipeline 'choose-schedules,finalise-abi,layout-to-tile' | filecheck %s

// A kernel on buffers becomes the program of one CTA: loads, scalar code on register tiles, stores.

builtin.module attributes {llmc.target = "sm_80"} {
rt.program @p attributes {sizes = ["T"]} {
  %x = rt.io "x" : !layout.buffer<["T", 64], bf16>
  %y = rt.io "y" : !layout.buffer<["T", 64], bf16>
  rt.launch @k(%x, %y) sizes ["T"] : (!layout.buffer<["T", 64], bf16>, !layout.buffer<["T", 64], bf16>)
  rt.return
}
layout.kernel @k(%x: !layout.buffer<["T", 64], bf16>, %y: !layout.buffer<["T", 64], bf16>, %T: i32) attributes {family = "pointwise", arg_effects = ["r", "w"], sizes = ["T"]} {
  %0 = layout.read %x : !layout.buffer<["T", 64], bf16> -> tensor<?x64xbf16, #nn.dims<["T", "_"]>>
  %e = nn.empty : () -> tensor<64xbf16>
  %1 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%0 : tensor<?x64xbf16, #nn.dims<["T", "_"]>>) outs(%0 : tensor<?x64xbf16, #nn.dims<["T", "_"]>>) {
  ^bb0(%a: bf16, %b: bf16):
    %2 = arith.addf %a, %a : bf16
    linalg.yield %2 : bf16
  } -> tensor<?x64xbf16, #nn.dims<["T", "_"]>>
  layout.write %1, %y : tensor<?x64xbf16, #nn.dims<["T", "_"]>> -> !layout.buffer<["T", 64], bf16>
  layout.return
}
}

// CHECK-NOT: layout.kernel
// CHECK:     rt.launch @k(%x, %y) grid [
// CHECK:     tile.kernel @k(%x: !layout.buffer<["T", 64], bf16>, %y: !layout.buffer<["T", 64], bf16>, %T: i32)
// CHECK:     tile.task
// CHECK:     tile.load %x
// CHECK:     tile.map
// CHECK:     arith.addf
// CHECK:     tile.store {{.*}}, %y
// CHECK:     tile.return
