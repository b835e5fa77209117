import Synchronization

/// A trainer of a flow of either type. Used by one thread at a time, but for `cancel`.
package final class AnyTrainer: @unchecked Sendable {
  private enum Kind {
    case f32(Trainer<Float>)
    case f64(Trainer<Double>)
  }
  private let kind: Kind
  private let cancelled = Atomic<Bool>(false)

  @_specialize(where T == Float)
  @_specialize(where T == Double)
  package init<T: Scalar>(_ flow: AnyFlow, _ options: TrainOptions, _ batch: Batch<T>)
    throws(DiffeoError)
  {
    switch flow {
    case .f32(let flow): kind = .f32(try Trainer(flow, options, batch))
    case .f64(let flow): kind = .f64(try Trainer(flow, options, batch))
    }
  }

  package init(_ flow: AnyFlow, _ options: TrainOptions, _ reader: any RowReader) throws(DiffeoError) {
    switch flow {
    case .f32(let flow): kind = .f32(try Trainer(flow, options, reader))
    case .f64(let flow): kind = .f64(try Trainer(flow, options, reader))
    }
  }

  package func setValidation(_ reader: any RowReader) throws(DiffeoError) {
    switch kind {
    case .f32(let trainer): try trainer.setValidation(reader)
    case .f64(let trainer): try trainer.setValidation(reader)
    }
  }

  @_specialize(where T == Float)
  @_specialize(where T == Double)
  package func setValidation<T: Scalar>(_ batch: Batch<T>) throws(DiffeoError) {
    switch kind {
    case .f32(let trainer): try trainer.setValidation(batch)
    case .f64(let trainer): try trainer.setValidation(batch)
    }
  }

  package func step(_ batches: Int) throws(DiffeoError) {
    let isCancelled = { self.cancelled.load(ordering: .relaxed) }
    switch kind {
    case .f32(let trainer): try trainer.step(batches, cancelled: isCancelled)
    case .f64(let trainer): try trainer.step(batches, cancelled: isCancelled)
    }
  }

  /// From the next step on.
  package func setLearningRate(_ rate: Double) throws(DiffeoError) {
    try Limit.check("train.learning_rate", rate, name: "rate")
    switch kind {
    case .f32(let trainer): trainer.report.baseLearningRate = rate
    case .f64(let trainer): trainer.report.baseLearningRate = rate
    }
  }

  /// Steps work in these threads; nil: in its own again.
  package func use(_ workspace: Workspace?) throws(DiffeoError) {
    switch kind {
    case .f32(let trainer): try trainer.use(workspace)
    case .f64(let trainer): try trainer.use(workspace)
    }
  }

  package func cancel() { cancelled.store(true, ordering: .relaxed) }

  /// To be stored beside `best`.
  package func state() -> AnyTrainingState {
    switch kind {
    case .f32(let trainer): .f32(trainer.state())
    case .f64(let trainer): .f64(trainer.state())
    }
  }

  package func restore(_ state: AnyTrainingState, of spec: FlowSpec) throws(DiffeoError) {
    switch kind {
    case .f32(let trainer): try trainer.restore(state.of(Float.self), of: spec)
    case .f64(let trainer): try trainer.restore(state.of(Double.self), of: spec)
    }
  }

  package var report: TrainReport {
    switch kind {
    case .f32(let trainer): trainer.report
    case .f64(let trainer): trainer.report
    }
  }

  package var spec: FlowSpec {
    switch kind {
    case .f32(let trainer): trainer.spec
    case .f64(let trainer): trainer.spec
    }
  }

  package func best() throws(DiffeoError) -> AnyFlow {
    switch kind {
    case .f32(let trainer): .f32(try trainer.bestFlow())
    case .f64(let trainer): .f64(try trainer.bestFlow())
    }
  }

  package func current() throws(DiffeoError) -> AnyFlow {
    switch kind {
    case .f32(let trainer): .f32(try trainer.currentFlow())
    case .f64(let trainer): .f64(try trainer.currentFlow())
    }
  }
}
