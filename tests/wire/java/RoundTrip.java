import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;

/**
 * Reads messages with Apache's generated classes and writes them back.
 *
 * In, until the end of standard input: class name (UTF), version (int16), length (int32), bytes.
 * Out, for each: length (int32) and bytes as Apache writes them; or -1 and why not (UTF).
 */
public class RoundTrip {
    public static void main(String[] arguments) throws IOException {
        DataInputStream in = new DataInputStream(System.in);
        DataOutputStream out = new DataOutputStream(System.out);
        while (true) {
            String className;
            try {
                className = in.readUTF();
            } catch (EOFException end) {
                break;
            }
            short version = in.readShort();
            byte[] bytes = in.readNBytes(in.readInt());
            try {
                byte[] again = roundTrip(className, version, bytes);
                out.writeInt(again.length);
                out.write(again);
            } catch (Exception failure) {
                out.writeInt(-1);
                out.writeUTF(failure.toString());
            }
        }
        out.flush();
    }

    private static byte[] roundTrip(String className, short version, byte[] bytes) throws Exception {
        Message message = (Message) Class.forName(className).getDeclaredConstructor().newInstance();
        ByteBuffer buffer = ByteBuffer.wrap(bytes);
        message.read(new ByteBufferAccessor(buffer), version);
        if (buffer.hasRemaining()) {
            throw new IllegalStateException(buffer.remaining() + " bytes are left over");
        }
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBuffer written = ByteBuffer.allocate(message.size(cache, version));
        message.write(new ByteBufferAccessor(written), cache, version);
        return written.array();
    }
}
