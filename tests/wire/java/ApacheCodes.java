// Prints ../golden/apache-codes.tsv: Apache's error codes and APIs. Run with the jars of a broker:
//   java -cp 'libs/*' ApacheCodes.java > ../golden/apache-codes.tsv
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.utils.AppInfoParser;

public class ApacheCodes {
    public static void main(String[] args) {
        System.out.println("# Apache Kafka " + AppInfoParser.getVersion() + ", Errors and ApiKeys, by tests/wire/java/ApacheCodes.java");
        for (Errors error : Errors.values())
            System.out.println("error\t" + error.code() + "\t" + error.name() + "\t"
                + (error.exception() instanceof RetriableException ? "retriable" : "final"));
        for (ApiKeys api : ApiKeys.values())
            System.out.println("api\t" + api.id + "\t" + api.name() + "\t" + api.name);
    }
}
