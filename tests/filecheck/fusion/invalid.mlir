// RUN: %llmc-opt %s --split-input-file --verify-diagnostics

// expected-error @below {{family "magic" is none of linear, attention, row}}
fusion.kernel @unknown_family(%x: tensor<4xf32>) attributes {family = "magic"} {
  fusion.return
}

// -----

// expected-error @below {{fusion.return gives (), the results are (tensor<4xf32>)}}
fusion.kernel @returns_its_results(%x: tensor<4xf32>) -> tensor<4xf32> attributes {family = "generic"} {
  fusion.return
}

// -----

// expected-error @+5 {{fusion.kernel needs attributes {family = }}
fusion.kernel @no_family(%x: tensor<4xf32>) {
  fusion.return
}

// -----

func.func @group_yields_its_results(%x: tensor<4xf32>) {
  // expected-error @below {{fusion.yield gives (), the results are (tensor<4xf32>)}}
  %0 = fusion.group "generic" (%a = %x : tensor<4xf32>) -> tensor<4xf32> {
    fusion.yield
  }
  func.return
}

// -----

func.func @groups_are_isolated(%x: tensor<4xf32>, %y: tensor<4xf32>) {
  // expected-error @below {{value defined out of its IsolatedFromAbove parent}}
  fusion.group "generic" (%a = %x : tensor<4xf32>) {
    %0 = nn.neg %y : (tensor<4xf32>) -> tensor<4xf32>
    fusion.yield
  }
  func.return
}

// -----

func.func @unknown_kernel(%x: tensor<4xf32>) {
  // expected-error @below {{no symbol @k in the module}}
  %0 = fusion.launch @k(%x) : (tensor<4xf32>) -> tensor<4xf32>
  func.return
}

// -----

fusion.kernel @k(%x: tensor<4xf32>) -> tensor<4xf32> attributes {family = "generic"} {
  fusion.return %x : tensor<4xf32>
}
func.func @types_differ(%x: tensor<5xf32>) {
  // expected-error @below {{fusion.launch @k: operands or results differ from the kernel's type}}
  %0 = fusion.launch @k(%x) : (tensor<5xf32>) -> tensor<5xf32>
  func.return
}
