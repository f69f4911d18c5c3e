// RUN: %llmc-opt %s --split-input-file --verify-diagnostics | filecheck %s

// What every level shares: syntax, symbols, dominance. A chunk runs whatever the others do.

func.func @dominance(%x: tensor<4xf32>) {
  // expected-error @below {{operand 0 of nn.neg is used before it is defined}}
  %0 = nn.neg %1 : (tensor<4xf32>) -> tensor<4xf32>
  %1 = nn.neg %x : (tensor<4xf32>) -> tensor<4xf32>
  func.return
}

// -----

func.func @syntax(%x: tensor<4xf32>) {
  // expected-error @below {{syntax error}}
  %0 = nn.neg %x, : (tensor<4xf32>) -> tensor<4xf32>
  func.return
}

// -----

func.func @unregistered(%x: tensor<4xf32>) {
  %0 = nn.frobnicate %x : (tensor<4xf32>) -> tensor<4xf32>
  // expected-error @above {{Operation nn.frobnicate is not registered}}
  func.return
}

// -----

// CHECK: func.func @fine
func.func @fine() {
  func.return
}

// -----

func.func @branches_pass_what_is_taken(%c: i1) {
  // expected-error @below {{cf.br passes (i1), where (f32) is expected}}
  cf.br ^a(%c : i1)
^a(%x: f32):
  func.return
}

// -----

func.func @regions_yield_what_is_taken(%c: i1, %x: f32) -> f32 {
  // expected-error @below {{scf.yield gives (i1), where (f32) is expected}}
  %y = scf.if %c -> (f32) {
    scf.yield %c : i1
  } else {
    scf.yield %x : f32
  }
  func.return %y : f32
}
