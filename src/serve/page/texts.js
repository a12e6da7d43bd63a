// All that the page says, in both languages, and how numbers are written.

const TEXTS = {
  en: {
    title: "dermai: what an image classifier sees",
    tagline: "What the network sees, and where it looked",
    skip: "Skip to the picture",
    language: "Language",
    notice_short: "Not a diagnosis.",
    notice_long: "A computer’s estimate that can be wrong. If a change of your skin worries you, see a doctor.",
    picture: "Picture",
    model: "Model",
    drop: "Drop a picture here, or click to choose one",
    drop_more: "Ctrl+V pastes one from the clipboard",
    choose_first: "Choose a picture",
    formats: "JPEG, PNG, WebP, GIF, BMP or TIFF",
    choose: "Another picture",
    camera: "Camera",
    snap: "Take a photo",
    remove: "Remove",
    photo_alt: "Your picture",
    heat_alt: "Heat map over your picture: where the network looked for {class} ({method})",
    unshown: "This browser cannot show this file.",
    scale_low: "ignored",
    scale_high: "decisive",
    explain: "Heat map",
    opacity: "Opacity",
    method: "Method",
    layer: "Layer",
    usual: "{name} (usual)",
    explained: "Shown: {class}, {method}, layer {layer}.",
    flat: "There is nothing to paint for {class}: {why}",
    no_maps: "This server or model makes no heat maps.",
    result: "Result",
    nothing: "Choose a picture, and its most likely classes appear here.",
    loading: "Getting ready…",
    asking: "The network looks at the picture…",
    explaining: "A heat map is made for {class}…",
    starting: "The server is not ready yet. The page tries again by itself",
    full: "The server is busy. The page tries again by itself",
    left: "in {seconds} s.",
    cancel: "Cancel",
    cancelled: "Cancelled.",
    removed: "The picture was removed.",
    best: "Most likely",
    unsure: "The model is not sure: no class reaches {threshold}. Do not rely on this order.",
    bars_hint: "Choose a class to see where the network looked for it.",
    more: "All {count} classes",
    fewer: "Fewer classes",
    answered: "Most likely {class}, {share}. {count} classes.",
    mapped: "The heat map shows {class}.",
    fact_picture: "Picture",
    fact_time: "Time",
    fact_time_value: "{ms} ms (network {infer} ms)",
    fact_model: "Model",
    fact_notice: "The model’s notice",
    fact_smaller: "Sent",
    fact_smaller_value: "a smaller copy; figures may differ a little",
    about: "How to read this",
    private: "Nothing is stored: the picture goes to this server only and is forgotten once it is answered.",
    about_bars: "The shares say how the network divides its confidence between the classes it knows. It has to choose one of them, even for a picture of something else.",
    about_heat: "The heat map shows which places raised the score of a class: red much, blue little. It explains the network, not the skin.",
    about_crop: "Edges without colour were cut off before the network saw the picture.",
    memory: "Memory of the server",
    memory_now: "{used} of {budget} MB",
    memory_more: "Peak {peak} MB. {loaded}",
    model_loaded: "The model is loaded.",
    model_unloaded: "The model is loaded with the next picture.",
    memory_unknown: "The server does not answer.",
    healthy: "plenty of room",
    warning: "filling up",
    danger: "nearly full",
    critical: "at the limit",
    again: "Try again",
    smaller: "Send a smaller copy",
    error_0: "The server cannot be reached.",
    error_400: "The server cannot do this.",
    error_403: "Heat maps are switched off on this server.",
    error_404: "This is not there.",
    error_408: "The picture took too long to arrive.",
    error_413: "The picture is too large for this server.",
    error_415: "This is no picture that the server can read.",
    error_422: "This is no picture that the server can read.",
    map_refused: "The server cannot make this map.",
    error_429: "The server is still busy.",
    error_500: "The server failed on this picture.",
    error_503: "The server cannot take pictures now.",
    error_other: "The server answered with error {status}.",
    not_image: "What was dropped is no file.",
    camera_heading: "Take a picture",
    capture: "Take it",
    turn: "Other camera",
    close: "Close",
    camera_denied: "The browser does not let this page use the camera. Allow it beside the address, or choose a file.",
    camera_none: "No camera was found.",
    camera_taken: "The camera is in use by another program.",
    camera_failed: "The camera could not be started.",
    "gradcam": "Weighs each channel by how much it raises the score of the class. The usual way.",
    "gradcam++": "Like Grad-CAM, fairer where the class shows in several places.",
    "xgradcam": "Like Grad-CAM, with channels weighed by what they show in this picture.",
    "hirescam": "Weighs every place by itself: only what this layer really used is red.",
    "layercam": "Weighs every place by itself, positive parts only. Finer at early layers.",
    "eigencam": "The strongest pattern of the layer, the same for every class.",
    "scorecam": "Without gradients: asks the network once for each channel. Slow.",
  },
  vi: {
    title: "dermai: bộ phân loại ảnh nhìn thấy gì",
    tagline: "Mạng nơ-ron thấy gì, và đã nhìn vào đâu",
    skip: "Chuyển đến phần ảnh",
    language: "Ngôn ngữ",
    notice_short: "Đây không phải là chẩn đoán.",
    notice_long: "Kết quả do máy tính ước lượng và có thể sai. Nếu lo lắng về một thay đổi trên da, bạn hãy đi khám bác sĩ.",
    picture: "Ảnh",
    model: "Mô hình",
    drop: "Thả ảnh vào đây, hoặc nhấp để chọn ảnh",
    drop_more: "Nhấn Ctrl+V để dán ảnh từ bộ nhớ tạm",
    choose_first: "Chọn ảnh",
    formats: "JPEG, PNG, WebP, GIF, BMP hoặc TIFF",
    choose: "Ảnh khác",
    camera: "Máy ảnh",
    snap: "Chụp ảnh",
    remove: "Bỏ ảnh",
    photo_alt: "Ảnh của bạn",
    heat_alt: "Bản đồ nhiệt trên ảnh của bạn: nơi mạng đã nhìn để tìm {class} ({method})",
    unshown: "Trình duyệt không hiển thị được tệp này.",
    scale_low: "bỏ qua",
    scale_high: "quyết định",
    explain: "Bản đồ nhiệt",
    opacity: "Độ đậm",
    method: "Phương pháp",
    layer: "Lớp mạng",
    usual: "{name} (mặc định)",
    explained: "Đang hiển thị: {class}, {method}, lớp {layer}.",
    flat: "Không có gì để vẽ cho {class}: {why}",
    no_maps: "Máy chủ hoặc mô hình này không tạo bản đồ nhiệt.",
    result: "Kết quả",
    nothing: "Hãy chọn một ảnh; các lớp có khả năng nhất sẽ hiện ở đây.",
    loading: "Đang chuẩn bị…",
    asking: "Mạng đang xem ảnh…",
    explaining: "Đang tạo bản đồ nhiệt cho {class}…",
    starting: "Máy chủ chưa sẵn sàng. Trang sẽ tự thử lại",
    full: "Máy chủ đang bận. Trang sẽ tự thử lại",
    left: "sau {seconds} giây.",
    cancel: "Hủy",
    cancelled: "Đã hủy.",
    removed: "Đã bỏ ảnh.",
    best: "Khả năng cao nhất",
    unsure: "Mô hình không chắc chắn: không lớp nào đạt {threshold}. Đừng dựa vào thứ tự này.",
    bars_hint: "Chọn một lớp để xem mạng đã nhìn vào đâu khi tìm lớp đó.",
    more: "Tất cả {count} lớp",
    fewer: "Thu gọn",
    answered: "Khả năng cao nhất: {class}, {share}. Có {count} lớp.",
    mapped: "Bản đồ nhiệt hiển thị {class}.",
    fact_picture: "Ảnh",
    fact_time: "Thời gian",
    fact_time_value: "{ms} ms (mạng {infer} ms)",
    fact_model: "Mô hình",
    fact_notice: "Lưu ý của mô hình",
    fact_smaller: "Đã gửi",
    fact_smaller_value: "bản thu nhỏ; số liệu có thể lệch một chút",
    about: "Cách đọc kết quả",
    private: "Không lưu lại gì: ảnh chỉ gửi đến máy chủ này và bị xóa khỏi bộ nhớ khi đã có kết quả.",
    about_bars: "Tỷ lệ cho biết mạng chia mức tin cậy giữa các lớp mà nó biết ra sao. Mạng buộc phải chọn một lớp, kể cả khi ảnh chụp thứ khác.",
    about_heat: "Bản đồ nhiệt cho biết những vùng nào làm tăng điểm của một lớp: đỏ là nhiều, xanh là ít. Nó giải thích mạng, không giải thích làn da.",
    about_crop: "Các mép không có màu đã bị cắt bỏ trước khi mạng xem ảnh.",
    memory: "Bộ nhớ của máy chủ",
    memory_now: "{used} trên {budget} MB",
    memory_more: "Cao nhất {peak} MB. {loaded}",
    model_loaded: "Mô hình đã được nạp.",
    model_unloaded: "Mô hình sẽ được nạp khi có ảnh tiếp theo.",
    memory_unknown: "Máy chủ không trả lời.",
    healthy: "còn nhiều chỗ",
    warning: "đang đầy dần",
    danger: "gần đầy",
    critical: "sát giới hạn",
    again: "Thử lại",
    smaller: "Gửi bản thu nhỏ",
    error_0: "Không kết nối được với máy chủ.",
    error_400: "Máy chủ không làm được điều này.",
    error_403: "Máy chủ này đã tắt bản đồ nhiệt.",
    error_404: "Không tìm thấy.",
    error_408: "Ảnh gửi đến quá chậm.",
    error_413: "Ảnh quá lớn đối với máy chủ này.",
    error_415: "Đây không phải là ảnh mà máy chủ đọc được.",
    error_422: "Đây không phải là ảnh mà máy chủ đọc được.",
    map_refused: "Máy chủ không tạo được bản đồ này.",
    error_429: "Máy chủ vẫn đang bận.",
    error_500: "Máy chủ gặp lỗi với ảnh này.",
    error_503: "Hiện máy chủ không nhận ảnh.",
    error_other: "Máy chủ trả về lỗi {status}.",
    not_image: "Thứ vừa thả không phải là tệp.",
    camera_heading: "Chụp ảnh",
    capture: "Chụp",
    turn: "Đổi máy ảnh",
    close: "Đóng",
    camera_denied: "Trình duyệt không cho trang này dùng máy ảnh. Hãy cho phép ở cạnh thanh địa chỉ, hoặc chọn một tệp.",
    camera_none: "Không tìm thấy máy ảnh.",
    camera_taken: "Máy ảnh đang được chương trình khác sử dụng.",
    camera_failed: "Không khởi động được máy ảnh.",
    "gradcam": "Tính trọng số mỗi kênh theo mức nó làm tăng điểm của lớp. Cách thông dụng nhất.",
    "gradcam++": "Giống Grad-CAM, nhưng tốt hơn khi lớp xuất hiện ở nhiều chỗ.",
    "xgradcam": "Giống Grad-CAM, nhưng trọng số theo những gì mỗi kênh thấy trong ảnh này.",
    "hirescam": "Tính riêng từng vị trí: chỉ những gì lớp mạng này thật sự dùng mới có màu đỏ.",
    "layercam": "Tính riêng từng vị trí, chỉ lấy phần dương. Chi tiết hơn ở các lớp đầu.",
    "eigencam": "Mẫu hình mạnh nhất của lớp mạng, giống nhau với mọi lớp phân loại.",
    "scorecam": "Không dùng gradient: hỏi mạng một lần cho mỗi kênh. Chậm.",
  },
};

const KEPT = "dermai.language";
export const LANGUAGES = Object.keys(TEXTS);

// The language that was chosen before, else the first that the browser prefers and we have, else English.
export function preferred() {
  let kept = null;
  try {
    kept = localStorage.getItem(KEPT);
  } catch {
    // Storage may be forbidden; the browser's preference is left.
  }
  const wishes = [kept, ...(navigator.languages ?? [navigator.language])];
  const known = wishes.map((wish) => wish?.toLowerCase().split("-")[0]).find((wish) => LANGUAGES.includes(wish));
  return known ?? "en";
}

export function keep(language) {
  try {
    localStorage.setItem(KEPT, language);
  } catch {
    // It holds until the page is left, then.
  }
}

// The words by name; `{field}` is filled from `fields`.
export function say(language, name, fields = {}) {
  const text = TEXTS[language][name] ?? TEXTS.en[name] ?? name;
  return text.replace(/\{(\w+)\}/g, (whole, field) => fields[field] ?? whole);
}

export const knows = (name) => Object.hasOwn(TEXTS.en, name);

// A share in percent; what would round to nothing is said to be less.
export function percent(language, share) {
  const format = (value) =>
    new Intl.NumberFormat(language, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 }).format(value);
  return share > 0 && share < 0.0005 ? `< ${format(0.001)}` : format(share);
}

export const number = (language, value, digits = 0) =>
  new Intl.NumberFormat(language, { maximumFractionDigits: digits }).format(value);

// Proper names are the same everywhere.
export const METHODS = {
  "gradcam": "Grad-CAM",
  "gradcam++": "Grad-CAM++",
  "xgradcam": "XGrad-CAM",
  "hirescam": "HiResCAM",
  "layercam": "LayerCAM",
  "eigencam": "Eigen-CAM",
  "scorecam": "Score-CAM",
};
