import static diffeo.Diffeo.*;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;
import com.sun.jna.ptr.PointerByReference;
import diffeo.Diffeo;
import java.nio.charset.StandardCharsets;

/** Trains a flow, saves it, loads it and samples: java Flows FOLDER. */
public final class Flows {
  private static final int N = 400, DIM = 2;

  public static void main(String[] arguments) {
    String folder = arguments.length > 0 ? arguments[0] : ".";
    double[] x = new double[N * DIM]; // n rows of dim values
    for (int i = 0; i < N; i++) {
      x[2 * i] = Math.sin(0.37 * i);
      x[2 * i + 1] = Math.cos(1.1 * i) + 0.1 * i / N;
    }
    PointerByReference made = new PointerByReference();

    Memory hidden = new Memory(2 * 8);
    hidden.write(0, new long[] {16, 16}, 0, 2);
    diffeo_network_options network = new diffeo_network_options();
    network.hidden = hidden;
    network.hidden_count = 2;
    network.write();
    diffeo_architecture_options architecture = new diffeo_architecture_options();
    architecture.dim = DIM;
    architecture.transforms = 2;
    architecture.network = network.getPointer();
    check(diffeo_maf_create(architecture, made));
    Pointer start = made.getValue();

    diffeo_train_options options = new diffeo_train_options();
    options.batch_size = 64;
    int[] epochs = {0};
    diffeo_progress progress = (report, user) -> ++epochs[0] < 5 ? 0 : 1;
    diffeo_train_report report = new diffeo_train_report();
    int status = diffeo_fit_f64(start, options, x, N, null, 0, null, progress, null, made, report);
    require(status == DIFFEO_ECANCELLED && epochs[0] == 5 && report.epoch == 5);
    Pointer trained = made.getValue();
    require(mean(trained, x) > mean(start, x));

    String path = folder + "/flow-java-\u00e9.h5";
    check(diffeo_flow_set_metadata(trained, "author", "n\u00e9ant"));
    check(diffeo_flow_save(trained, path));
    check(diffeo_flow_load(path, made));
    Pointer loaded = made.getValue();
    require(mean(loaded, x) == mean(trained, x));
    byte[] author = new byte[100];
    long[] length = {0};
    check(diffeo_flow_metadata(loaded, "author", author, author.length, length));
    require(new String(author, 0, (int) length[0], StandardCharsets.UTF_8).equals("n\u00e9ant"));

    float[] samples = new float[3 * DIM];
    check(diffeo_flow_sample_f32(loaded, 1, 0, 3, null, 0, null, samples, null));
    for (int i = 0; i < 3; i++) System.out.println(samples[2 * i] + " " + samples[2 * i + 1]);
    try {
      check(diffeo_flow_load("nothing.h5", made));
      throw new AssertionError("a file that is not there");
    } catch (Diffeo.Error error) {
      require(error.status == DIFFEO_EIO && error.getMessage().contains("nothing.h5"));
    }
    for (Pointer flow : new Pointer[] {start, trained, loaded}) diffeo_flow_destroy(flow);
    System.out.println("ok");
  }

  private static double mean(Pointer flow, double[] x) {
    double[] logProb = new double[N];
    check(diffeo_flow_log_prob_f64(flow, x, N, null, 0, null, logProb));
    double sum = 0;
    for (double value : logProb) sum += value;
    return sum / N;
  }

  private static void require(boolean condition) {
    if (!condition) throw new AssertionError();
  }
}
