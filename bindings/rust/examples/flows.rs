//! Trains a flow, saves it, loads it, and holds it to what is promised: flows FOLDER.
use diffeo::{sys, train_options, Architecture, Flow, Workspace};
use std::panic::{catch_unwind, AssertUnwindSafe};

fn main() -> diffeo::Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| ".".to_string());
    let n = 400;
    let x: Vec<f64> =
        (0..n).flat_map(|i| [(0.37 * i as f64).sin(), (1.1 * i as f64).cos() + 0.1 * i as f64 / n as f64]).collect();

    let architecture = Architecture {
        dim: 2, transforms: 2, hidden: Some(vec![16, 16]), dtype: sys::DIFFEO_F64, ..Default::default()
    };
    let start = Flow::maf(&architecture)?;
    let mut options = train_options()?;
    options.max_epochs = 5;
    options.batch_size = 64;
    let mut epochs = 0;
    let mut flow = start.fit(&options, &x, None, None, |report| {
        epochs += 1;
        report.epoch == epochs
    })?;
    assert_eq!(epochs, 5);
    assert!(mean(&flow, &x)? > mean(&start, &x)?);

    // From its file, and from many threads.
    flow.set_metadata("author", "me")?;
    let path = format!("{folder}/flow-rust.h5");
    flow.save(&path)?;
    let loaded = Flow::load(&path)?;
    assert_eq!(loaded.metadata("author")?, "me");
    assert!(loaded.describe()?.contains("autoregressive"));
    let (mut expected, mut found) = (vec![0.0; n], vec![0.0; n]);
    flow.log_prob(&x, None, Some(&mut Workspace::new(2)?), &mut expected)?;
    std::thread::scope(|scope| {
        for (rows, to) in x.chunks(2 * 100).zip(found.chunks_mut(100)) {
            let loaded = &loaded;
            scope.spawn(move || loaded.log_prob(rows, None, None, to).unwrap());
        }
    });
    assert_eq!(expected, found);

    // Both directions, the score, samples by their number.
    let (mut z, mut back, mut log_det) = (vec![0.0; 2 * n], vec![0.0; 2 * n], vec![0.0; n]);
    flow.to_noise(&x, None, None, &mut z, Some(&mut log_det))?;
    flow.from_noise(&z, None, None, &mut back, None)?;
    assert!(x.iter().zip(&back).all(|(a, b)| (a - b).abs() < 1e-8));
    flow.score(&x, None, None, &mut z)?;
    assert!(z.iter().any(|slope| slope.abs() > 0.01));
    let (mut all, mut part) = (vec![0f32; 2 * 10], vec![0f32; 2 * 4]);
    flow.sample(7, 0, None, None, &mut all, None)?;
    flow.sample(7, 6, None, None, &mut part, None)?;
    assert_eq!(all[12..], part[..]);

    // An embedding network of the context, which is kept in the file.
    let embedded = Flow::maf(&Architecture {
        dim: 2, context_dim: 3, features: 2, embedding: Some(vec![16, 8]), hidden: Some(vec![8]), ..Default::default()
    })?;
    assert!(embedded.describe()?.contains("2 features"));
    assert_eq!(embedded.context_dim(), 3);
    embedded.log_prob(&x, Some(&[0.5, 1.0, 2.0]), None, &mut found)?;
    embedded.save(&path)?;
    Flow::load(&path)?.log_prob(&x, Some(&[0.5, 1.0, 2.0]), None, &mut expected)?;
    assert_eq!(expected, found);
    let architecture = Architecture { dim: 2, context_dim: 1, features: 70000, ..Default::default() };
    assert!(Flow::maf(&architecture).unwrap_err().message.contains("features"));

    // Errors have the numbers, and panics come out of fit.
    let error = flow.log_prob(&[0f32; 5], None, None, &mut [0f32; 2]).unwrap_err();
    assert_eq!(error.to_string(), "x has 5 values, which are no whole rows: this flow has dim 2");
    assert_eq!(flow.log_prob(&x, Some(&x), None, &mut found).unwrap_err().status, sys::DIFFEO_ESHAPE);
    assert_eq!(Flow::load("nothing.h5").unwrap_err().status, sys::DIFFEO_EIO);
    assert_eq!(Flow::load("a\0b").unwrap_err().status, sys::DIFFEO_EINVAL);
    assert_eq!(Flow::load_memory(&[0; 100]).unwrap_err().status, sys::DIFFEO_EFORMAT);
    options.batch_size = 0;
    assert!(start.fit(&options, &x, None, None, |_| true).unwrap_err().message.contains("batch_size"));
    options.batch_size = 64;
    std::panic::set_hook(Box::new(|_| {}));
    let panicked = catch_unwind(AssertUnwindSafe(|| start.fit(&options, &x, None, None, |_| panic!("mine"))));
    assert_eq!(panicked.unwrap_err().downcast_ref::<&str>(), Some(&"mine"));
    assert!(start.fit(&options, &x, None, None, |_| false).is_ok());
    println!("ok");
    Ok(())
}

fn mean(flow: &Flow, x: &[f64]) -> diffeo::Result<f64> {
    let mut log_prob = vec![0.0; x.len() / flow.dim()];
    flow.log_prob(x, None, None, &mut log_prob)?;
    Ok(log_prob.iter().sum::<f64>() / log_prob.len() as f64)
}
