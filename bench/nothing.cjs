exports.nothing = () => undefined;
